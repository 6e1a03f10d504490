package conntest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/ops/passfs"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// pass serves a new directory with passfs.
func pass(t *testing.T, po *passfs.Options, o conntest.Options) (*conntest.Kernel, string) {
	t.Helper()
	dir := t.TempDir()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	check(t, err)
	fs, err := passfs.New(fd, po)
	unix.Close(fd)
	check(t, err)
	return mount(t, fs, options(o)), dir
}

func self(k *conntest.Kernel) *conntest.Client {
	return k.Process(uint32(os.Getuid()), uint32(os.Getgid()))
}

// TestApplication uses a served directory as an application does, over every
// protocol version that has something of its own.
func TestApplication(t *testing.T) {
	for _, minor := range []uint32{12, 15, 16, 21, 23, 28, 36, 38, 40, 45, 46} {
		t.Run(protocol.OpInit.String()+"-7."+string(rune('0'+minor/10))+string(rune('0'+minor%10)), func(t *testing.T) {
			k, dir := pass(t, nil, conntest.Options{Minor: minor})
			c := self(k)
			check(t, c.Mkdir("/d", 0o755))
			want(t, c.Mkdir("/d", 0o755), unix.EEXIST)
			f, err := c.Open("/d/f", unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o644)
			check(t, err)
			data := bytes.Repeat([]byte("0123456789abcdef!"), 9000)
			n, err := f.WriteAt(data, 5)
			check(t, err)
			if n != len(data) {
				t.Fatalf("wrote %d of %d", n, len(data))
			}
			got := make([]byte, len(data)+100)
			n, err = f.ReadAt(got, 5)
			check(t, err)
			if !bytes.Equal(got[:n], data) {
				t.Fatalf("read back %d bytes, not what was written", n)
			}
			check(t, f.Truncate(1000))
			st, err := f.Stat()
			check(t, err)
			if st.Size != 1000 {
				t.Fatalf("size %d", st.Size)
			}
			check(t, f.Fsync(false))
			check(t, f.Close())
			host, err := os.ReadFile(filepath.Join(dir, "d/f"))
			check(t, err)
			if !bytes.Equal(host[5:], data[:995]) {
				t.Fatal("the source has other data")
			}
			check(t, c.Symlink("d", "/l"))
			if s, err := c.Readlink("/l"); s != "d" || err != nil {
				t.Fatal(s, err)
			}
			check(t, c.Link("/l/f", "/d/g"))
			st, err = c.Stat("/l/g")
			check(t, err)
			if st.Nlink != 2 {
				t.Fatalf("nlink %d", st.Nlink)
			}
			check(t, c.Rename("/d/f", "/h", 0))
			if _, err := c.Stat("/d/f"); err != unix.ENOENT {
				t.Fatal(err)
			}
			list, err := c.List("/")
			check(t, err)
			if len(list) != 3 {
				t.Fatal(list)
			}
			want(t, c.Rmdir("/d"), unix.ENOTEMPTY)
			check(t, c.Unlink("/d/g"))
			check(t, c.Rmdir("/d"))
			check(t, c.Unlink("/h"))
			check(t, c.Unlink("/l"))
			if list, err := c.List("/"); err != nil || len(list) != 0 {
				t.Fatal(list, err)
			}
			if n := k.Nlookup(); len(n) != 1 {
				t.Fatalf("still known: %v", n)
			}
		})
	}
}
