package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/aio/slow"
	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/ops/passfs"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg"
)

// roleVar tells the binary that it is to be a server or a writer, and what kind.
const (
	serverVar = "FUSEWIRE_EXPERIMENTS_SERVER"
	writerVar = "FUSEWIRE_EXPERIMENTS_WRITER"
)

// spec says what a server is to be. The zero value, with directories, is plain
// passfs.
type spec struct {
	Source, Dir string

	Each     time.Duration // the store's time per op
	AtATime  int           // its ops at a time; 0: no engine
	MaxMerge int           // aio.Config's
	NoWrites bool          // WRITEs are answered without looking at the data
	Bad      []int64       // offsets, ascending, of 4 KiB blocks that cannot be written: EIO

	MaxWrite      uint32
	MaxBackground uint16
	NoAsyncDio    bool
	DirectIO      bool
	Passthrough   bool // kernel passthrough, where it can be
	Native        bool // no mount at all: the source is used
	Parallel      passfs.ParallelMode
	Threads       int
	Count         bool // requests are counted, which costs a little
	Null          bool // no passfs: null
	Ring          bool // over io_uring
	Pinned        bool // to the first CPU
}

// counts is what a server has seen by the time it ends.
type counts struct {
	Reads, Writes uint64 // requests
	PeakStore     int    // ops in the store at once; what was answered is no longer
	Calls, Bytes  uint64 // of the store
	Engine        aio.Stats
	Conn          conn.Stats
	Copied        uint64        // bytes, by sg
	CPU           time.Duration // of the process, both kinds
}

// counter is a conn.Tap.
type counter struct{ reads, writes atomic.Uint64 }

func (c *counter) Request(r *protocol.Request, _ []byte) {
	switch r.Header.Opcode {
	case protocol.OpRead:
		c.reads.Add(1)
	case protocol.OpWrite:
		c.writes.Add(1)
	}
}

func (c *counter) Reply(protocol.Opcode, []byte, error) {}

func (c *counter) Notify([]byte, error) {}

// forgetful is a file system that does not write.
type forgetful struct{ *passfs.FS }

// Write takes it all.
func (forgetful) Write(_ *ops.Request, _ *protocol.WriteIn, data []byte) (int, error) {
	return len(data), nil
}

// store carries op out in the store.
func (s *spec) store(op *aio.Op) {
	if op.Kind == aio.Write {
		for _, b := range s.Bad { // in order
			if op.Off < b+block && op.Off+int64(op.Vec.Len()) > b {
				fail(op, max(b-op.Off, 0))
				return
			}
		}
	}
	aio.Do(op)
}

// fail carries out the first n bytes of op, and no more.
func fail(op *aio.Op, n int64) {
	part := aio.Op{Kind: aio.Write, FD: op.FD, Off: op.Off, Flags: op.Flags}
	if n > 0 && op.Vec.Slice(&part.Vec, 0, int(n)) == nil {
		aio.Do(&part)
	}
	op.N, op.Err = part.N, unix.EIO
}

// serve is the server: until its standard input ends, or the mount does. It
// prints a line when it is ready, and its counts.
func serve(text string) error {
	s := new(spec)
	if err := json.Unmarshal([]byte(text), s); err != nil {
		return err
	}
	unix.Umask(0)
	src, err := unix.Open(s.Source, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	o := passfs.DefaultOptions()
	o.DirectIO, o.Parallel, o.NoPassthrough = s.DirectIO, s.Parallel, !s.Passthrough
	var store *slow.Store
	if s.AtATime > 0 {
		store = slow.New(s.Each, s.AtATime, s.store)
		o.Engine, o.Slow = aio.New(store, aio.Config{MaxMerge: s.MaxMerge}), true
	}
	fs, err := passfs.New(src, &o)
	if err != nil {
		return err
	}
	unix.Close(src)
	m, err := conn.NewMount(s.Dir, &conn.MountOptions{AllowOther: true, DefaultPermissions: true, Flags: conn.DefaultMountFlags})
	if err != nil {
		return err
	}
	defer m.Close()
	dev, err := conn.NewFuseDevice(m.FD())
	if err != nil {
		return err
	}
	co := conn.Options{Want: fs.Want(), MaxWrite: s.MaxWrite, MaxBackground: s.MaxBackground, Threads: s.Threads,
		Log: func(line string) { fmt.Fprintln(os.Stderr, line) }}
	if s.NoAsyncDio {
		co.Mask |= protocol.InitAsyncDio
	}
	tap := new(counter)
	if s.Count {
		co.Trace = tap
	}
	if s.Ring {
		co.Transport = conn.TransportURing
	}
	c := conn.New(dev, &co)
	h := ops.New(fs)
	if s.NoWrites {
		h = ops.New(forgetful{fs})
	}
	var handler conn.Handler = h
	if s.Null {
		handler = null{}
	}
	go func() {
		<-c.Ready()
		if s.Ring && c.Stats().Queues == 0 {
			fmt.Println("no rings") // the log says why
		}
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is all there is to know
		if err := m.Unmount(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			_ = m.Detach() // so that Serve ends all the same
		}
	}()
	if err := c.Serve(handler); err != nil {
		return err
	}
	n := counts{Reads: tap.reads.Load(), Writes: tap.writes.Load(), Conn: c.Stats(), Copied: sg.Copied()}
	if o.Engine != nil {
		n.Calls, n.Bytes, n.Engine = store.Calls(), store.Bytes(), o.Engine.Stats()
		n.PeakStore = n.Engine.PeakDepth
		if err := o.Engine.Close(); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(&n)
}

// server is a mount in another process.
type server struct {
	spec
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

// start starts a server on a new directory below s.Dir, and returns when it
// answers.
func (s spec) start() (*server, error) {
	dir, err := os.MkdirTemp(s.Dir, "mnt-")
	if err != nil {
		return nil, err
	}
	s.Dir = dir
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	v := &server{spec: s}
	v.cmd, err = again(serverVar, string(text))
	if err != nil {
		return nil, err
	}
	if s.Pinned {
		exe := v.cmd.Path
		if v.cmd.Path, err = exec.LookPath("taskset"); err != nil {
			return nil, err
		}
		v.cmd.Args = []string{"taskset", "-c", "0", exe}
	}
	if v.in, err = v.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	v.out = bufio.NewReader(out)
	if err := v.cmd.Start(); err != nil {
		return nil, err
	}
	if line, err := v.out.ReadString('\n'); err != nil || line != "ready\n" {
		return nil, errors.Join(fmt.Errorf("the server did not begin: %q: %w", line, err), v.cmd.Wait())
	}
	return v, nil
}

// stop takes the mount down and returns what was counted.
func (v *server) stop() (n counts, err error) {
	_ = v.in.Close()
	limit := time.AfterFunc(20*time.Second, func() { _ = v.cmd.Process.Kill() })
	err = json.NewDecoder(v.out).Decode(&n)
	err = errors.Join(err, v.cmd.Wait())
	limit.Stop()
	n.CPU = v.cmd.ProcessState.UserTime() + v.cmd.ProcessState.SystemTime()
	if err == nil && n.Conn.Panics+n.Conn.Unanswered+n.Conn.Double+n.Conn.Refused+n.Conn.Malformed > 0 {
		err = fmt.Errorf("the server ended with %s", n.Conn.AppendText(nil))
	}
	return n, errors.Join(err, os.Remove(v.Dir))
}

// again is a command that runs this binary with a variable set. It ends with this
// process: Pdeathsig follows the thread that starts it, hence main's lock.
func again(name, value string) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread() // for good
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), name+"="+value)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, nil
}
