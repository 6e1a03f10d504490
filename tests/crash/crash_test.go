package crash

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fusewire/fusewire/tests/harness"
)

func TestMain(m *testing.M) {
	if os.Getenv(scenarioVar) != "" {
		if err := play(); err != nil {
			fmt.Fprintln(os.Stderr, "player:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv(dirVar) != "" {
		if err := write(); err != nil {
			fmt.Fprintln(os.Stderr, "writer:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	harness.Main(m)
}

// long is how many times a test's default size is wanted.
func long() int {
	n, err := strconv.Atoi(os.Getenv("FUSEWIRE_LONG"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// dice returns a random source. A failed test says how to throw the same again.
func dice(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("FUSEWIRE_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 0, 64); err != nil {
			t.Fatal("FUSEWIRE_SEED:", err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again: FUSEWIRE_SEED=%d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// client is the writer, seen from here.
type client struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	r   *os.File
	*table
}

func start(t *testing.T, dir string, rng *rand.Rand) *client {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, tab, err := newTable()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	runtime.LockOSThread() // for good: Pdeathsig is the thread's
	c := &client{t: t, table: tab, cmd: exec.Command(exe)}
	c.cmd.Env = append(os.Environ(), dirVar+"="+dir, fmt.Sprint(seedVar, "=", rng.Uint64()))
	c.cmd.Stderr = os.Stderr
	c.cmd.ExtraFiles = []*os.File{f}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out, c.r = bufio.NewReader(out), out.(*os.File)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.in.Close()
		if t.Failed() {
			_ = c.cmd.Process.Kill() // it may wait for a mount
		}
		if err := c.cmd.Wait(); err != nil && !t.Failed() {
			t.Error("the writer:", err)
		}
	})
	return c
}

// line tells the writer to go on with what comes next.
func (c *client) line() {
	c.t.Helper()
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		c.t.Fatal("the writer:", err)
	}
}

// says reads a line of the writer's that begins so, and returns the rest.
func (c *client) says(want string) string {
	c.t.Helper()
	if err := c.r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		c.t.Fatal(err)
	}
	s, err := c.out.ReadString('\n')
	if rest, ok := strings.CutPrefix(s, want); ok {
		return strings.TrimSpace(rest)
	}
	c.t.Fatalf("the writer says %q, not %q: %v", s, want, err)
	return ""
}

// acked is how much has been acknowledged.
func (c *client) acked() (n uint32) {
	for i := range c.table {
		n += c.table[i].acked.Load()
	}
	return n
}

// TestKill: the server is killed at random points.
func TestKill(t *testing.T) {
	for _, mode := range []struct {
		name    string
		options []string
	}{
		{"passthrough", nil},
		{"write-through", []string{"--nopassthrough"}},
		{"writeback", []string{"--writeback"}},
		{"direct-io", []string{"--direct-io", "--nopassthrough"}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			rng := dice(t)
			src, dir := harness.Tmpfs(t), harness.Disk(t)
			c := start(t, dir, rng)
			kills := 50 * long()
			for range kills {
				m := harness.ServeWith(t, &harness.Options{Dir: dir, Killed: true}, src, mode.options...)
				c.line()
				c.says("good")
				before := c.acked()
				time.Sleep(time.Duration(rng.IntN(15000)) * time.Microsecond)
				for end := time.Now().Add(20 * time.Second); c.acked() == before && time.Now().Before(end); {
					time.Sleep(time.Millisecond) // a slow machine: something shall have been acknowledged
				}
				if err := m.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				<-m.Done()
				if s := c.says("down:"); s == "<nil>" {
					t.Fatal("the writer went on without a server")
				}
				if err := m.Stop(); err != nil {
					t.Fatal(err)
				}
			}
			// Once more, with a peaceful end.
			m := harness.ServeWith(t, &harness.Options{Dir: dir}, src, mode.options...)
			c.line()
			c.says("good")
			c.line()
			if s := c.says("down:"); s != "<nil>" {
				t.Error("the writer:", s)
			}
			if err := m.Stop(); err != nil {
				t.Error(err)
			}
			t.Logf("killed %d times, %d acknowledged", kills, c.acked())
			if err := c.check(func(name string) ([]byte, error) { return os.ReadFile(src + "/" + name) }); err != nil {
				t.Error(err)
			}
			if c.acked() < uint32(kills) {
				t.Errorf("%d writes were acknowledged", c.acked())
			}
		})
	}
}
