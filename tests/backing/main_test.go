package backing

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// mount is a served directory whose messages are read.
type mount struct {
	*harness.Mount
	t     testing.TB
	marks int
}

// serve serves src with options beside the defaults.
func serve(t testing.TB, src string, args ...string) *mount {
	return serveWith(t, &harness.Options{}, src, append(args, "-o", "allow_other,suid,dev")...)
}

func serveWith(t testing.TB, o *harness.Options, src string, args ...string) *mount {
	t.Helper()
	// With one thread an answer is printed before the next request is read.
	return &mount{Mount: harness.ServeWith(t, o, src, append(args, "-d", "-s")...), t: t}
}

// mark makes a request that is seen in the output, and returns where it begins
// there. What was asked before by this thread stands before it.
func (m *mount) mark() string {
	m.t.Helper()
	m.marks++
	name := fmt.Sprintf("mark-%d", m.marks)
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(m.Dir, name), &st); err != unix.ENOENT {
		m.t.Fatal(name, err)
	}
	line := fmt.Sprintf("name=%q\n", name)
	for end := time.Now().Add(20 * time.Second); !strings.Contains(m.Output(), line); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("%s is not in the output", name)
		}
	}
	return line
}

// during returns the lines that were printed while f ran.
func (m *mount) during(f func()) string {
	m.t.Helper()
	a := m.mark()
	f()
	b := m.mark()
	out := m.Output()
	i, j := strings.Index(out, a), strings.Index(out, b)
	if i < 0 {
		m.t.Fatalf("more was printed than is kept: %.2000s", out)
	}
	out = out[i+len(a) : j]
	// The answer to the first mark comes behind it, the second's beginning before.
	return out[:strings.LastIndexByte(out, '\n')+1]
}

var request = regexp.MustCompile(`(?m)^> (\S+) .*\n`)

// requests lists what was asked for while f ran, but for what nobody waits for
// (FORGET, RELEASE), and the top directory, where the marks are.
func (m *mount) requests(f func()) (ops []string) {
	m.t.Helper()
	for _, s := range request.FindAllStringSubmatch(m.during(f), -1) {
		if !strings.Contains(s[1], "FORGET") && s[1] != "RELEASE" && !strings.Contains(s[0], " nodeid=1 ") {
			ops = append(ops, s[1])
		}
	}
	return ops
}

var opened = regexp.MustCompile(`(?m)^< (?:OPEN|CREATE|TMPFILE) .*open_flags=(\S+) backing_id=(\d+)\)`)

// open opens a file of the mount until the test ends or done is called, and
// returns its backing id, "0" for none.
func (m *mount) open(name string, flags int) (f *file, id string) {
	m.t.Helper()
	out := m.during(func() { f = open(m.t, filepath.Join(m.Dir, name), flags) })
	s := opened.FindAllStringSubmatch(out, -1)
	if len(s) != 1 {
		m.t.Fatalf("%s: %d answers to OPEN in\n%s", name, len(s), out)
	}
	if strings.Contains(s[0][1], "PASSTHROUGH") != (s[0][2] != "0") {
		m.t.Errorf("%s: open_flags=%s backing_id=%s", name, s[0][1], s[0][2])
	}
	return f, s[0][2]
}

// passed is open of a file that must be passed through.
func (m *mount) passed(name string, flags int) *file {
	m.t.Helper()
	f, id := m.open(name, flags)
	if id == "0" {
		m.t.Errorf("%s is not passed through", name)
	}
	return f
}

// plain is open of a file that must not be passed through.
func (m *mount) plain(name string, flags int) *file {
	m.t.Helper()
	f, id := m.open(name, flags)
	if id != "0" {
		m.t.Errorf("%s is passed through", name)
	}
	return f
}

// file is an open file.
type file struct {
	t  testing.TB
	fd int
}

func open(t testing.TB, path string, flags int) *file {
	t.Helper()
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		t.Fatalf("open %s %#x: %v", path, flags, err)
	}
	f := &file{t, fd}
	t.Cleanup(f.done)
	return f
}

func (f *file) done() {
	f.t.Helper()
	if f.fd >= 0 {
		if err := unix.Close(f.fd); err != nil {
			f.t.Error("close:", err)
		}
	}
	f.fd = -1
}

func (f *file) pwrite(data string, off int64) {
	f.t.Helper()
	if n, err := unix.Pwrite(f.fd, []byte(data), off); n != len(data) || err != nil {
		f.t.Errorf("pwrite: %d of %d, %v", n, len(data), err)
	}
}

func (f *file) write(data string) {
	f.t.Helper()
	if n, err := unix.Write(f.fd, []byte(data)); n != len(data) || err != nil {
		f.t.Errorf("write: %d of %d, %v", n, len(data), err)
	}
}

// holds fails the test unless the file has this content, to its end.
func (f *file) holds(want string) {
	f.t.Helper()
	b := make([]byte, len(want)+1)
	n, err := unix.Pread(f.fd, b, 0)
	if err != nil || string(b[:n]) != want {
		f.t.Errorf("read %.80q, %v, want %.80q", b[:max(n, 0)], err, want)
	}
	if got := f.stat().Size; got != int64(len(want)) {
		f.t.Errorf("size %d, want %d", got, len(want))
	}
}

func (f *file) stat() (st unix.Stat_t) {
	f.t.Helper()
	must(f.t, unix.Fstat(f.fd, &st))
	return st
}

func stat(t testing.TB, path string) (st unix.Stat_t) {
	t.Helper()
	must(t, unix.Lstat(path, &st))
	return st
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, path, data string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(data), 0o644))
}

// same fails the test unless a file of the source has this content.
func same(t testing.TB, path, want string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(b, []byte(want)) {
		t.Errorf("%s: %.80q, %v, want %.80q", path, b, err, want)
	}
}

// within fails the test unless f becomes true in time.
func within(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time:", what)
		}
	}
}
