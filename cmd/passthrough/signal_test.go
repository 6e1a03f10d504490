package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSignals(t *testing.T) {
	if !private(t) {
		return
	}
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		src, mnt := t.TempDir(), t.TempDir()
		at(t, mnt)
		p := start(t, "-f", src, mnt)
		p.ready(t, mnt)
		must(t, p.Process.Signal(unix.SIGUSR1))
		p.until(t, "SIGUSR1", func() bool { return strings.Contains(p.said(), "passthrough: requests=") })
		must(t, p.Process.Signal(sig))
		if status := p.end(t); status != 0 || mountLine(mnt) != "" {
			t.Errorf("%v: status %d, %q, %s", sig, status, mountLine(mnt), p.said())
		}
	}
}

// TestSignalsInARow: whoever reads stderr is slow, and the program is told to
// report more often than it can, before it is told to end.
func TestSignalsInARow(t *testing.T) {
	if !private(t) {
		return
	}
	src, mnt := t.TempDir(), t.TempDir()
	at(t, mnt)
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	_, err = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, unix.Getpagesize())
	must(t, err)
	cmd := exec.Command(binary(t), "-f", src, mnt)
	cmd.Stderr = w
	must(t, cmd.Start())
	p := &proc{Cmd: cmd}
	t.Cleanup(func() { cmd.Process.Kill() })
	p.ready(t, mnt)
	_, err = w.Write(make([]byte, unix.Getpagesize()))
	must(t, err)
	w.Close()
	for range 40 {
		must(t, cmd.Process.Signal(unix.SIGUSR1))
		time.Sleep(5 * time.Millisecond)
	}
	must(t, cmd.Process.Signal(unix.SIGTERM))
	time.Sleep(50 * time.Millisecond)
	go io.Copy(io.Discard, r)
	if status := p.end(t); status != 0 || mountLine(mnt) != "" {
		t.Errorf("status %d, %q", status, mountLine(mnt))
	}
}

func TestSignalWhileBusy(t *testing.T) {
	if !private(t) {
		return
	}
	src, mnt := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(src+"/file", []byte("content"), 0o644))
	at(t, mnt)
	p := start(t, "-f", src, mnt)
	p.ready(t, mnt)
	user := exec.Command("sh", "-c", "exec 3<file; cd /; echo open; read x; cat <&3")
	user.Dir = mnt
	in, err := user.StdinPipe()
	must(t, err)
	out, err := user.StdoutPipe()
	must(t, err)
	must(t, user.Start())
	b := make([]byte, 5)
	_, err = io.ReadFull(out, b)
	must(t, err)
	must(t, p.Process.Signal(unix.SIGTERM))
	p.until(t, "detached", func() bool { return mountLine(mnt) == "" })
	in.Write([]byte("\n"))
	if b, _ := io.ReadAll(out); string(b) != "content" {
		t.Errorf("an open file after the detach: %q", b)
	}
	user.Wait()
	if status := p.end(t); status != 0 || !strings.Contains(p.said(), "in use: detached") {
		t.Errorf("%d %s", status, p.said())
	}

	// a second signal does not wait for users
	p = start(t, "-f", src, mnt)
	p.ready(t, mnt)
	user = exec.Command("sleep", "1000")
	user.Dir = mnt
	must(t, user.Start())
	defer user.Wait()
	defer user.Process.Kill()
	must(t, p.Process.Signal(unix.SIGTERM))
	p.until(t, "detached", func() bool { return mountLine(mnt) == "" })
	must(t, p.Process.Signal(unix.SIGTERM))
	if status := p.end(t); status != 1 {
		t.Errorf("%d %s", status, p.said())
	}
}

func TestAborted(t *testing.T) {
	if !private(t) {
		return
	}
	unix.Mount("fusectl", "/sys/fs/fuse/connections", "fusectl", 0, "") // EBUSY: there already
	src, mnt := t.TempDir(), t.TempDir()
	for _, force := range []bool{true, false} {
		at(t, mnt)
		p := start(t, "-f", src, mnt)
		p.ready(t, mnt)
		hold, err := unix.Open(mnt, unix.O_PATH|unix.O_CLOEXEC, 0)
		must(t, err)
		// to the server umount -f looks like umount, fusectl does not
		// (fs/fuse/control.c: fuse_conn_abort_write)
		want, text := 0, ""
		if force {
			if err := unix.Unmount(mnt, unix.MNT_FORCE); err != unix.EBUSY {
				t.Fatal(err)
			}
		} else {
			want, text = 1, "passthrough: "+mnt+": the connection was aborted\n"
			minor, _, _ := strings.Cut(strings.SplitN(mountLine(mnt), ":", 2)[1], " ")
			must(t, os.WriteFile("/sys/fs/fuse/connections/"+minor+"/abort", []byte("1"), 0))
		}
		if status := p.end(t); status != want || p.said() != text || mountLine(mnt) != "" {
			t.Errorf("force %v: %d %q %s", force, status, mountLine(mnt), p.said())
		}
		unix.Close(hold)
	}
}
