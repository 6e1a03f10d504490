package crash

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// scenarioVar tells this binary to play scenarios.
const scenarioVar = "FUSEWIRE_CRASH_SCENARIO"

var pageSize = unix.Getpagesize()

// scenario is: a file is opened twice, A and B, filled through A page by page in one
// of several ways, made durable, closed. Then another page is written, and the bad one again.
type scenario struct {
	Path  string
	How   string // "write", "map", or "dsync": A is opened with O_DSYNC
	Pages int
	Fsync bool // else A is closed without
}

// outcome is what the calls said, as errno.
type outcome struct {
	Writes []int // by page
	FsyncA [2]int
	FsyncB [2]int
	CloseA int
	CloseB int
	Again  int // writing page 0 anew, through another open file, and its fsync
	Note   string
}

// page is the content of a page.
func page(n int, again bool) []byte {
	x := uint64(n) << 1
	if again {
		x++
	}
	return stream(x, pageSize)
}

func code(err error) int {
	if e, ok := err.(unix.Errno); ok {
		return int(e)
	}
	return 0
}

// play carries scenarios out as they come on standard input.
func play() error {
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for {
		var s scenario
		if err := in.Decode(&s); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		var o outcome
		if err := s.play(&o); err != nil {
			o.Note = err.Error()
		}
		if err := out.Encode(&o); err != nil {
			return err
		}
	}
}

func (s *scenario) play(o *outcome) error {
	flags := unix.O_RDWR | unix.O_CREAT | unix.O_CLOEXEC
	if s.How == "dsync" {
		flags |= unix.O_DSYNC
	}
	a, err := unix.Open(s.Path, flags, 0o644)
	if err != nil {
		return err
	}
	b, err := unix.Open(s.Path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	o.Writes = make([]int, s.Pages)
	if s.How == "map" {
		if err := s.fill(a); err != nil {
			return err
		}
	} else {
		for n := range s.Pages {
			o.Writes[n] = code(put(a, page(n, false), int64(n*pageSize)))
		}
	}
	if s.Fsync {
		for i := range 2 {
			o.FsyncA[i] = code(unix.Fsync(a))
		}
		for i := range 2 {
			o.FsyncB[i] = code(unix.Fsync(b))
		}
	}
	o.CloseA = code(unix.Close(a))
	o.CloseB = code(unix.Close(b))
	c, err := unix.Open(s.Path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	o.Again = code(put(c, page(0, true), 0))
	if e := code(unix.Fsync(c)); o.Again == 0 {
		o.Again = e
	}
	if e := code(unix.Close(c)); o.Again == 0 {
		o.Again = e
	}
	return nil
}

// fill writes through a mapping.
func (s *scenario) fill(fd int) error {
	if err := unix.Ftruncate(fd, int64(s.Pages*pageSize)); err != nil {
		return err
	}
	m, err := unix.Mmap(fd, 0, s.Pages*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	for n := range s.Pages {
		copy(m[n*pageSize:], page(n, false))
	}
	return unix.Munmap(m)
}

// player is the process, seen from here.
type player struct {
	t   *testing.T
	in  io.WriteCloser
	out *os.File
	dec *json.Decoder
}

func startPlayer(t *testing.T) *player {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // for good: Pdeathsig is the thread's
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), scenarioVar+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &player{t: t}
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out, p.dec = out.(*os.File), json.NewDecoder(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.in.Close()
		if t.Failed() {
			_ = cmd.Process.Kill() // it may wait for the mount
		}
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Error("the player:", err)
		}
	})
	return p
}

func (p *player) play(s *scenario) *outcome {
	p.t.Helper()
	err := p.out.SetReadDeadline(time.Now().Add(time.Minute))
	if err == nil {
		err = json.NewEncoder(p.in).Encode(s)
	}
	o := &outcome{}
	if err == nil {
		err = p.dec.Decode(o)
	}
	if err == nil && o.Note != "" {
		err = fmt.Errorf("%s", o.Note)
	}
	if err != nil {
		p.t.Fatalf("%+v: %v", s, err)
	}
	return o
}
