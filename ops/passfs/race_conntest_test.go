package passfs

import (
	"fmt"
	"os"
	"testing"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// TestNodesUnderRaces has processes race over a few names while replies get
// lost: at the end the server has counted what the kernel has, nothing.
func TestNodesUnderRaces(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			n := uint64(0)
			o := DefaultOptions()
			fs, k := kernelOver(t, &o, conntest.Options{Shared: true, Lose: func(op protocol.Opcode, _ uint64) bool {
				switch op {
				case protocol.OpLookup, protocol.OpMkdir, protocol.OpLink, protocol.OpReaddirplus, protocol.OpSymlink:
					n++
					return n%(5+seed%7) == 0
				}
				return false
			}})
			task := func(id int) func(c *conntest.Client) {
				return func(c *conntest.Client) {
					for i := range 12 {
						name := fmt.Sprintf("/d/%d", (i+id)%3)
						_ = c.Mkdir("/d", 0o755)
						_ = c.Mkdir("/e", 0o755)
						if f, err := c.Open(name, unix.O_RDWR|unix.O_CREAT, 0o600); err == nil {
							if _, err := f.Write([]byte("x")); err != nil {
								t.Error("write:", err)
							}
							_ = f.Close()
						}
						_ = c.Link(name, "/e/l")
						_ = c.Symlink("/d", "/e/s")
						_ = c.Rename("/e/l", name, 0)
						_, _ = c.List("/d")
						_ = c.Unlink("/e/s/1")
						_ = c.Rename("/d", "/e/d", 0)
						_, _ = c.Lstat("/e/d/2")
						_ = c.Rename("/e/d", "/d", 0)
						_ = c.Unlink("/e/s")
					}
				}
			}
			k.Run(seed, uint32(os.Geteuid()), uint32(os.Getegid()), task(0), task(1), task(2))
			k.Idle()
			forgotten(t, fs, k)
			if v := k.Violations(); len(v) > 0 {
				t.Error(v[0])
			}
		})
	}
}
