package unix_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	our "github.com/fusewire/fusewire/sg/unix"
)

// begun starts a program whose descriptors are files and behind them a pipe, and
// returns what it wrote there and its status.
func begun(t *testing.T, argv, env []string, files []int, session bool, start func(string, []string, []string, []int, bool) (int, error)) (string, syscall.WaitStatus) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	pid, err := start(argv[0], argv, env, append(files, int(w.Fd())), session)
	w.Close()
	if err != nil {
		t.Fatal(argv, err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Error(err)
	}
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &ws, 0, nil); err != nil {
		t.Error(err)
	}
	return b.String(), ws
}

// forkExec is Spawn as package syscall has it.
func forkExec(path string, argv, env []string, files []int, session bool) (int, error) {
	attr := syscall.ProcAttr{Env: env, Sys: &syscall.SysProcAttr{Setsid: session}}
	for _, fd := range files {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	return syscall.ForkExec(path, argv, &attr)
}

// TestSpawn: arguments, environment and descriptors arrive, those that change
// places too, and others do not.
func TestSpawn(t *testing.T) {
	dir := t.TempDir()
	var fds [3]int
	for i := range fds {
		name := filepath.Join(dir, string(rune('a'+i)))
		if err := os.WriteFile(name, []byte{byte('A' + i)}, 0o600); err != nil {
			t.Fatal(err)
		}
		fd, err := our.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer our.Close(fd)
		fds[i] = fd
	}
	// None at 3, and from 4 on the lowest descriptors there are, in another order:
	// some take the place of others.
	files := []int{fds[0], 1, 2, -1, fds[2], fds[0], fds[1]}
	for len(files) < max(fds[0], fds[1], fds[2])+2 {
		files = append(files, fds[len(files)%3])
	}
	last := len(files)
	script := `echo "$0 $1 $X"; cat /proc/self/fd/4 /proc/self/fd/5 /proc/self/fd/6; echo; : 2>/dev/null <&3 || echo none; ls -m /proc/self/fd; exit 7`
	got, ws := begun(t, []string{"/bin/bash", "-c", "exec 1>&" + itoa(last) + "; " + script, "a b"}, []string{"X=y", "PATH=/bin:/usr/bin"}, files, false, our.Spawn)
	want, _ := begun(t, []string{"/bin/bash", "-c", "exec 1>&" + itoa(last) + "; " + script, "a b"}, []string{"X=y", "PATH=/bin:/usr/bin"}, files, false, forkExec)
	if ws.ExitStatus() != 7 || !strings.HasPrefix(got, "a b  y\nCAB\nnone\n") || got != want {
		t.Errorf("status %d, %q, want %q", ws.ExitStatus(), got, want)
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

// TestSpawnState: a child has the signal mask, the ignored signals and the session
// that it has of package syscall.
func TestSpawnState(t *testing.T) {
	argv := []string{"/bin/grep", "-E", "^(Sig(Blk|Ign|Cgt)|Threads)", "/proc/self/status"}
	for _, session := range []bool{false, true} {
		files := []int{0}
		got, _ := begun(t, argv, nil, files, session, our.Spawn)
		want, _ := begun(t, argv, nil, files, session, forkExec)
		if got != want || !strings.Contains(got, "SigBlk") {
			t.Errorf("session %v:\n%swant:\n%s", session, got, want)
		}
		// session is the sixth field
		argv := []string{"/bin/cat", "/proc/self/stat"}
		got, _ = begun(t, argv, nil, files, session, our.Spawn)
		if f := strings.Fields(got); len(f) < 6 || (f[0] == f[5]) != session {
			t.Errorf("session %v: %s", session, got)
		}
	}
}

// TestSpawnFails: the reason comes back, and no process is left behind.
func TestSpawnFails(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path  string
		files []int
		want  our.Errno
	}{
		{text + "s", nil, syscall.ENOENT},
		{text, nil, syscall.ENOEXEC},
		{filepath.Dir(text), nil, syscall.EACCES},
		{"/bin/true", []int{0, 1, 1 << 20}, syscall.EBADF},
		{"/bin/tr\x00ue", nil, syscall.EINVAL},
	} {
		for _, start := range []func(string, []string, []string, []int, bool) (int, error){our.Spawn, forkExec} {
			if pid, err := start(c.path, []string{"x"}, nil, c.files, false); err != c.want {
				t.Errorf("%q: %d, %v, want %v", c.path, pid, err, c.want)
			}
		}
	}
	if _, err := our.Spawn("/bin/true", []string{"\x00"}, nil, nil, false); err != syscall.EINVAL {
		t.Error(err)
	}
	if _, err := our.Spawn("/bin/true", nil, []string{"\x00"}, nil, false); err != syscall.EINVAL {
		t.Error(err)
	}
}

// TestSpawnMany starts children from several threads while the heap is collected
// and other goroutines are preempted.
func TestSpawnMany(t *testing.T) {
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	var spawners sync.WaitGroup
	for range 4 {
		spawners.Go(func() {
			for range 25 {
				if out, ws := begun(t, []string{"/bin/sh", "-c", "echo x >&1"}, nil, []int{0}, false, our.Spawn); out != "x\n" || ws.ExitStatus() != 0 {
					t.Errorf("%q, %d", out, ws.ExitStatus())
				}
			}
		})
	}
	spawners.Wait()
	close(stop)
	wg.Wait()
}
