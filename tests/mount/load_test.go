package mount

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// clientVar makes this binary a client of the directory it names.
const clientVar = "FUSEWIRE_LOAD_DIR"

// client is one process of load: each of its goroutines repeats one call until
// that fails or standard input is closed.
type client struct {
	dir  string
	stop atomic.Bool
	wg   sync.WaitGroup
	ops  atomic.Int64
	mu   sync.Mutex
	errs map[string]int
}

func (c *client) loop(what string, f func() error) {
	c.wg.Go(func() {
		for !c.stop.Load() {
			if err := f(); err != nil {
				var e unix.Errno
				name := err.Error()
				if errors.As(err, &e) {
					name = unix.ErrnoName(e)
				}
				c.mu.Lock()
				c.errs[what+":"+name]++
				c.mu.Unlock()
				return
			}
			c.ops.Add(1)
		}
	})
}

// clientMain prints "ready", then, at its end, what it saw.
func clientMain(dir string) int {
	c := &client{dir: dir, errs: map[string]int{}}
	pid := os.Getpid()
	buf := bytes.Repeat([]byte("load"), 16<<10)
	for i := range 2 {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("w%d-%d", pid, i)), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		off := int64(0)
		c.loop("write", func() error {
			off = (off + int64(len(buf))) % (8 << 20)
			_, err := f.WriteAt(buf, off)
			return err
		})
		c.loop("fsync", func() error { return f.Sync() })
		r, err := os.Open(filepath.Join(dir, "data"))
		if err != nil {
			fmt.Println(err)
			return 1
		}
		rb := make([]byte, 256<<10)
		roff := int64(0)
		c.loop("read", func() error {
			roff = (roff + int64(len(rb))) % (16 << 20)
			_, err := r.ReadAt(rb, roff)
			unix.Fadvise(int(r.Fd()), 0, 0, unix.FADV_DONTNEED) // a hint; without it nothing is asked of the server
			if err == io.EOF {
				err = nil
			}
			return err
		})
	}
	c.loop("stat", func() error { _, err := os.Lstat(filepath.Join(dir, "data")); return err })
	n := 0
	c.loop("lookup", func() error {
		n++
		_, err := os.Lstat(filepath.Join(dir, fmt.Sprintf("missing-%d-%d", pid, n)))
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		return err
	})
	c.loop("create", func() error {
		n := filepath.Join(dir, fmt.Sprintf("c%d", pid))
		if err := os.WriteFile(n, []byte("x"), 0o600); err != nil {
			return err
		}
		return os.Remove(n)
	})
	d, err := os.Open(filepath.Join(dir, "many"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	c.loop("readdir", func() error {
		if _, err := d.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := d.Readdirnames(-1)
		return err
	})
	// One of the processes gets each lock and keeps it, the others wait.
	for _, name := range []string{"posix", "flock"} {
		f, err := os.OpenFile(filepath.Join(dir, "lock-"+name), os.O_RDWR, 0)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		c.loop("lock "+name, func() error {
			var err error
			if name == "flock" {
				err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
			} else {
				err = unix.FcntlFlock(f.Fd(), unix.F_SETLKW, &unix.Flock_t{Type: unix.F_WRLCK})
			}
			for err == nil && !c.stop.Load() {
				time.Sleep(time.Millisecond)
				_, err = f.Stat()
			}
			if err == nil {
				// Let the next one have it.
				err = f.Close()
				c.stop.Store(true)
			}
			return err
		})
	}
	fmt.Println("ready")
	go func() {
		io.Copy(io.Discard, os.Stdin) // any end of it will do
		c.stop.Store(true)
	}()
	c.wg.Wait()
	var sum []string
	for _, k := range slices.Sorted(maps.Keys(c.errs)) {
		sum = append(sum, fmt.Sprintf("%s=%d", k, c.errs[k]))
	}
	fmt.Printf("%d calls, then %s\n", c.ops.Load(), strings.Join(sum, " "))
	return 0
}

type clientProc struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
	done  chan struct{}
	last  string
	err   error
}

func startClient(t *testing.T, dir string) *clientProc {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &clientProc{cmd: exec.Command(exe), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), clientVar+"="+dir)
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // for Pdeathsig
		defer runtime.UnlockOSThread()
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		line, _ := p.out.ReadString('\n') // "" tells the same
		if line == "ready\n" {
			started <- nil
		} else {
			started <- fmt.Errorf("a client began with %q", line)
		}
		p.last, _ = p.out.ReadString('\n')
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	for range 2 {
		select {
		case err := <-started:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(20 * time.Second):
			p.cmd.Process.Kill()
			t.Fatal("a client does not get ready")
		}
	}
	return p
}

// TestUnmountUnderLoad takes a mount away from clients that are in the middle
// of reads, writes, lookups, readdirs and waits for locks.
func TestUnmountUnderLoad(t *testing.T) {
	for _, way := range []struct {
		name string
		end  func(t *testing.T, m *harness.Mount) // takes the mount away
		o    harness.Options
	}{
		{"umount -l", func(t *testing.T, m *harness.Mount) {
			if err := unix.Unmount(m.Dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}, harness.Options{}},
		{"umount -f", func(t *testing.T, m *harness.Mount) {
			if err := unix.Unmount(m.Dir, unix.MNT_FORCE); err != nil && err != unix.EBUSY {
				t.Error(err)
			}
			if err := unix.Unmount(m.Dir, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
				t.Error(err)
			}
		}, harness.Options{Killed: true}}, // how a server whose connection was aborted ends is its affair
		{"SIGTERM", func(t *testing.T, m *harness.Mount) {
			if err := m.Process.Signal(unix.SIGTERM); err != nil {
				t.Error(err)
			}
		}, harness.Options{}},
		{"SIGTERM twice", func(t *testing.T, m *harness.Mount) {
			for range 2 {
				if err := m.Process.Signal(unix.SIGTERM); err != nil {
					t.Error(err)
				}
				time.Sleep(300 * time.Millisecond)
			}
		}, harness.Options{Killed: true}},
		{"SIGKILL", func(t *testing.T, m *harness.Mount) {
			if err := m.Process.Kill(); err != nil {
				t.Error(err)
			}
			<-m.Done()
			if err := unix.Unmount(m.Dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}, harness.Options{Killed: true}},
	} {
		t.Run(way.name, func(t *testing.T) {
			src := harness.Disk(t)
			put(t, filepath.Join(src, "data"), strings.Repeat("data", 4<<20))
			for i := range 1500 {
				put(t, filepath.Join(src, "many", fmt.Sprintf("entry-%04d", i)), "")
			}
			put(t, filepath.Join(src, "lock-posix"), "")
			put(t, filepath.Join(src, "lock-flock"), "")
			m := harness.ServeWith(t, &way.o, src)
			var clients []*clientProc
			t.Cleanup(func() {
				for _, c := range clients {
					c.cmd.Process.Kill() // those that hang; the others have ended
				}
			})
			for range 4 {
				clients = append(clients, startClient(t, m.Dir))
			}
			time.Sleep(300 * time.Millisecond)
			start := time.Now()
			way.end(t, m)
			// Who has an error ends by himself. What goes on (a detached mount
			// works, and missing names are missing under it too) is told to.
			time.Sleep(700 * time.Millisecond)
			for _, c := range clients {
				c.stdin.Close() // they may have ended
			}
			deadline := time.After(15 * time.Second)
			for i, c := range clients {
				select {
				case <-c.done:
					if c.err != nil {
						t.Errorf("client %d: %v: %s", i, c.err, c.last)
					}
					t.Logf("client %d: %s", i, strings.TrimSpace(c.last))
				case <-deadline:
					b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", c.cmd.Process.Pid)) // for the message alone
					t.Fatalf("client %d hangs (%s)", i, b)
				}
			}
			select {
			case <-m.Done():
			case <-time.After(15 * time.Second):
				t.Fatal("the server goes on")
			}
			t.Logf("all ended within %.2fs", time.Since(start).Seconds())
		})
	}
	noServers(t)
}
