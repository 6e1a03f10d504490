package faithful

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/tests/harness"
	"golang.org/x/sys/unix"
)

// outcome is what a program saw and what it made the kernel send: groups[0]
// comes before the first operation.
type outcome struct {
	results []string
	groups  [][]string
}

// notifier sends what programs ask for. Paths are resolved by the server, which
// knows its own files.
func notifier(fs *memfs, c *conn.Conn) func(kind, path string) error {
	return func(kind, path string) error {
		fs.mu.Lock()
		d := fs.nodes[protocol.RootID]
		parts := strings.Split(strings.Trim(path, "/"), "/")
		name := parts[len(parts)-1]
		for _, p := range parts[:len(parts)-1] {
			if d = d.find(p); d == nil {
				fs.mu.Unlock()
				return unix.ENOENT
			}
		}
		n := d.find(name)
		fs.mu.Unlock()
		var err error
		switch {
		case kind == "inval-entry":
			err = c.NotifyInvalEntry(d.id, []byte(name), false)
		case kind == "expire-entry":
			err = c.NotifyInvalEntry(d.id, []byte(name), true)
		case n == nil:
			return unix.ENOENT
		default:
			err = c.NotifyInvalInode(n.id, 0, 0)
		}
		var e unix.Errno
		if errors.As(err, &e) {
			return e
		}
		return err
	}
}

// onReality runs a program on a real mount.
func onReality(t *testing.T, m *mode, prog []op) *outcome {
	t.Helper()
	mnt, err := conn.NewMount(harness.Disk(t), &conn.MountOptions{FSName: "faithful", MaxRead: maxWrite, Flags: conn.DefaultMountFlags})
	if err != nil {
		t.Fatal(err)
	}
	defer mnt.Close()
	dev, err := conn.NewFuseDevice(mnt.FD())
	if err != nil {
		t.Fatal(err)
	}
	fs := newMemfs(m)
	tp := newTap()
	c := conn.New(dev, m.options(tp))
	served := make(chan error, 1)
	go func() { served <- c.Serve(ops.New(fs)) }()
	select {
	case <-c.Ready():
	case err := <-served:
		t.Fatal("INIT:", err)
	}
	o := &outcome{results: runChild(t, &task{Dir: mnt.Dir(), Readahead: m.readahead, Ops: prog}, notifier(fs, c))}
	if err := mnt.Unmount(); err != nil {
		t.Error(err)
		_ = mnt.Detach() // the error is reported
	}
	select {
	case err := <-served:
		if err != nil {
			t.Error("Serve:", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Serve does not return")
	}
	o.groups = tp.groups
	return o
}

// onImitation runs it on conntest.
func onImitation(t *testing.T, m *mode, prog []op) *outcome {
	t.Helper()
	fs := newMemfs(m)
	tp := newTap()
	k, err := conntest.New(ops.New(fs), &conntest.Options{MaxRead: maxWrite, Conn: m.options(tp)})
	if err != nil {
		t.Fatal(err)
	}
	c := k.Process(0, 0)
	end := func() {
		for range barrier {
			if _, err := c.Statfs("/"); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := &imitation{k: k, c: c, notify: notifier(fs, k.Conn())}
	o := &outcome{}
	end()
	for i := range prog {
		o.results = append(o.results, s.do(i, &prog[i]))
		end()
	}
	if err := k.Unmount(); err != nil {
		t.Error("conntest:", err)
	}
	o.groups = tp.groups
	return o
}

// compare fails the test at the first operation that differs.
func compare(t *testing.T, m *mode, prog []op, real, imit *outcome) {
	t.Helper()
	if len(real.results) != len(prog) || len(real.groups) != len(prog)+1 {
		t.Fatalf("%d operations, %d results, %d groups on the real mount", len(prog), len(real.results), len(real.groups))
	}
	if len(imit.groups) != len(prog)+1 {
		t.Fatalf("%d operations, %d groups on conntest", len(prog), len(imit.groups))
	}
	for i := range prog {
		a, b := allowed(m, real.groups[i+1]), allowed(m, imit.groups[i+1])
		if strings.Join(a, "\n") == strings.Join(b, "\n") && real.results[i] == imit.results[i] {
			continue
		}
		var ctx strings.Builder
		first := i
		for n := 0; first > 0 && n < 40; first-- {
			if len(real.groups[first]) > 0 {
				n++
			}
		}
		for j := i - 1; j >= first; j-- {
			if len(real.groups[j+1]) == 0 && real.results[j] == closed {
				continue
			}
			ctx.WriteString(prog[j].String() + " = " + real.results[j] + "\n\t" + strings.Join(real.groups[j+1], "\n\t") + "\n")
		}
		t.Fatalf("operation %d: %v\n-- Linux: %s\n\t%s\n-- conntest: %s\n\t%s\n-- before, latest first:\n%s",
			i, &prog[i], real.results[i], strings.Join(a, "\n\t"), imit.results[i], strings.Join(b, "\n\t"), ctx.String())
	}
}
