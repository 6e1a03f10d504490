package passfs

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
)

// TestAllocs: the requests that make up a load allocate nothing. The request
// has no thread, so changing its credentials is looked at by itself.
func TestAllocs(t *testing.T) {
	o := DefaultOptions()
	o.NoPassthrough = true
	w, id := fileWire(t, &o, "0123456789")
	fh := w.mustOpen(id, unix.O_RDWR)
	if _, e := w.getattr(id); e != 0 {
		t.Fatal(e)
	}
	var h protocol.InHeader
	h.Nodeid = id
	r := &ops.Request{Request: new(conn.Request)}
	r.Header = &h
	buf := make([]byte, 4096)
	fs := w.fs
	fs.hasFsetid = false // a request of no thread has no credentials to change
	var attr protocol.AttrOut
	var stx protocol.StatxOut
	mtime := &protocol.SetattrIn{Valid: protocol.FattrMtime, Mtime: 1} // may outlive the call, with a write-back cache
	for name, f := range map[string]func(){
		"READ": func() {
			if n, err := fs.Read(r, &protocol.ReadIn{Fh: fh, Size: 4096}, buf); n != 10 || err != nil {
				t.Fatal(n, err)
			}
		},
		"WRITE": func() {
			if n, err := fs.Write(r, &protocol.WriteIn{Fh: fh, Size: 10}, buf[:10]); n != 10 || err != nil {
				t.Fatal(n, err)
			}
		},
		"GETATTR": func() {
			if err := fs.Getattr(r, &protocol.GetattrIn{}, &attr); err != nil || attr.Attr.Size != 10 {
				t.Fatal(err)
			}
		},
		"GETATTR by fh": func() {
			if err := fs.Getattr(r, &protocol.GetattrIn{GetattrFlags: protocol.GetattrFh, Fh: fh}, &attr); err != nil || attr.Attr.Size != 10 {
				t.Fatal(err)
			}
		},
		"STATX": func() {
			if err := fs.Statx(r, &protocol.StatxIn{}, &stx); err != nil || stx.Stat.Size != 10 {
				t.Fatal(err)
			}
		},
		"SETATTR": func() {
			if err := fs.Setattr(r, mtime, &attr); err != nil {
				t.Fatal(err)
			}
		},
		"GETXATTR": func() {
			if _, err := fs.Getxattr(r, []byte("user.none"), buf); err != unix.ENODATA {
				t.Fatal(err)
			}
		},
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	fs.hasFsetid = hasCap(unix.CAP_FSETID)
	runtime.LockOSThread() // and never given back: the thread ends with the test
	if n := testing.AllocsPerRun(50, func() {
		if !setCap(unix.CAP_FSETID, false) || hasCap(unix.CAP_FSETID) || !setCap(unix.CAP_FSETID, fs.hasFsetid) {
			t.Fatal("CAP_FSETID does not go or come")
		}
	}); n != 0 {
		t.Errorf("CAP_FSETID: %v allocations", n)
	}
}
