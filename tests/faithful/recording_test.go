package faithful

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// exchange is one recorded request and what was answered, nil for nothing.
type exchange struct {
	req, rep []byte
	text     string
	used     bool
}

// recorded reads a recording; its bytes are little-endian.
func recorded(t *testing.T, name string) []*exchange {
	t.Helper()
	f, err := os.Open("../testdata/wire/" + name + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []*exchange
	by := map[uint64]*exchange{}
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<22)
	for s.Scan() {
		var m struct{ Dir, Hex string }
		if err := json.Unmarshal(s.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(m.Hex)
		if err != nil {
			t.Fatal(err)
		}
		unique := binary.LittleEndian.Uint64(b[8:])
		if m.Dir == "rep" {
			if e := by[unique]; e != nil {
				e.rep = b
			}
			continue
		}
		e := &exchange{req: b, text: line(b)}
		by[unique] = e
		all = append(all, e)
	}
	return all
}

// line is a request as far as it is compared: without what is of the moment.
func line(b []byte) string {
	b = append([]byte(nil), b...)
	var r protocol.Request
	if err := r.Decode(b, &protocol.Params{Minor: 45}); err != nil {
		return fmt.Sprintf("%x: %v", b, err)
	}
	h := r.Header
	h.Unique, h.Pid = 0, 0
	some := func(v *uint64) {
		if *v != 0 {
			*v = 1
		}
	}
	switch h.Opcode {
	case protocol.OpSetattr:
		in := r.SetattrIn()
		if in.Valid&protocol.FattrAtime == 0 || in.Atimensec != 123456789 {
			in.Atime, in.Atimensec = 0, 0
			in.Mtime, in.Mtimensec = 0, 0
		}
		in.Ctime, in.Ctimensec = 0, 0
		some(&in.LockOwner)
	case protocol.OpFlush:
		some(&r.FlushIn().LockOwner)
	case protocol.OpRead, protocol.OpReaddir, protocol.OpReaddirplus:
		some(&r.ReadIn().LockOwner)
	case protocol.OpWrite:
		some(&r.WriteIn().LockOwner)
	case protocol.OpRelease, protocol.OpReleasedir:
		some(&r.ReleaseIn().LockOwner)
	case protocol.OpSetlk, protocol.OpSetlkw:
		in := r.LkIn()
		some(&in.Owner)
		in.Lk.Pid = 0
	case protocol.OpIoctl:
		r.IoctlIn().Arg = 0
	}
	return string(r.AppendText(nil))
}

// player is a server that answers from a recording.
type player struct {
	mu    sync.Mutex
	all   []*exchange
	at    int               // of the request that was answered last
	extra []string          // requests that conntest sent and Linux did not
	attr  map[uint64][]byte // the last answer with attributes, by nodeid
}

// window is how far ahead of the one answered last a request is looked for:
// RELEASEs and FORGETs are sent when there is time.
const window = 40

func (p *player) find(text string) *exchange {
	for i := max(p.at-window, 0); i < min(p.at+window, len(p.all)); i++ {
		if e := p.all[i]; !e.used && e.text == text {
			e.used = true
			p.at = max(p.at, i)
			return e
		}
	}
	return nil
}

// learn keeps the attributes in an answer, for requests that were not recorded.
func (p *player) learn(h *protocol.InHeader, rep []byte, attr bool) {
	const head, entry, attrs = 16, 128, 104
	switch h.Opcode {
	case protocol.OpLookup, protocol.OpCreate, protocol.OpMkdir, protocol.OpMknod, protocol.OpSymlink, protocol.OpLink:
		if len(rep) >= head+entry {
			b := append([]byte(nil), rep[:head+16]...) // attr_valid and attr_valid_nsec come first
			binary.LittleEndian.PutUint32(b, head+attrs)
			copy(b[head:], rep[head+24:head+32])
			copy(b[head+8:], rep[head+36:head+40])
			clear(b[head+12:])
			p.attr[binary.LittleEndian.Uint64(rep[head:])] = append(b, rep[head+40:head+entry]...)
		}
	default:
		if attr && len(rep) == head+attrs {
			p.attr[h.Nodeid] = rep
		}
	}
}

// data answers READ and WRITE, which are not in a recording when the kernel passed
// them on by itself.
func (p *player) data(h *protocol.InHeader, b []byte) []byte {
	switch h.Opcode {
	case protocol.OpRead:
		return make([]byte, protocol.ViewOf[protocol.ReadIn](b[40:]).Size)
	case protocol.OpWrite:
		in := protocol.ViewOf[protocol.WriteIn](b[40:])
		if rep := p.attr[h.Nodeid]; rep != nil { // the file grows
			rep = append([]byte(nil), rep...)
			size := rep[16+16+8:]
			binary.LittleEndian.PutUint64(size, max(binary.LittleEndian.Uint64(size), in.Offset+uint64(in.Size)))
			p.attr[h.Nodeid] = rep
		}
		return append([]byte(nil), protocol.BytesOf(&protocol.WriteOut{Size: in.Size})...)
	}
	return nil
}

// stray is a name looked up next in the root that nobody in the script asks for:
// the recorder's shell and df look for what they find elsewhere. at is where it was
// recorded, -1 if there is none.
func (p *player) stray() (name string, at int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := p.at; i < len(p.all); i++ {
		e := p.all[i]
		if e.used {
			continue
		}
		h := protocol.ViewOf[protocol.InHeader](e.req)
		if h.Opcode == protocol.OpLookup && h.Nodeid == 1 {
			return string(e.req[40 : len(e.req)-1]), i
		}
		if h.Opcode != protocol.OpForget && h.Opcode != protocol.OpRelease && h.Opcode != protocol.OpReleasedir {
			break
		}
	}
	return "", -1
}

// next is what was recorded next, RELEASEs and FORGETs aside.
func (p *player) next() protocol.Opcode {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.all[p.at:] {
		op := protocol.ViewOf[protocol.InHeader](e.req).Opcode
		if !e.used && op != protocol.OpForget && op != protocol.OpRelease && op != protocol.OpReleasedir {
			return op
		}
	}
	return 0
}

func (p *player) serve(fd int) {
	b := make([]byte, 1<<21)
	for {
		n, err := unix.Read(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n < 40 {
			return
		}
		h := *protocol.ViewOf[protocol.InHeader](b)
		text := line(b[:n])
		p.mu.Lock()
		e := p.find(text)
		if e == nil && h.Opcode == protocol.OpInit {
			e = p.all[0]
			e.used = true
		}
		if e == nil {
			p.extra = append(p.extra, text)
		}
		p.mu.Unlock()
		out := protocol.BytesOf(&protocol.OutHeader{Len: 16, Error: -int32(unix.ENODATA), Unique: h.Unique})
		attr := h.Opcode == protocol.OpGetattr || h.Opcode == protocol.OpSetattr
		rep := p.attr[h.Nodeid]
		if e != nil {
			rep = e.rep
			p.learn(&h, rep, attr)
		}
		if rep != nil && (e != nil || attr) {
			out = append([]byte(nil), rep...)
			binary.NativeEndian.PutUint64(out[8:], h.Unique)
		} else if e != nil && rep == nil {
			continue
		} else if !protocol.HasReply(h.Opcode) {
			continue
		} else if data := p.data(&h, b); data != nil {
			out = protocol.BytesOf(&protocol.OutHeader{Len: uint32(16 + len(data)), Unique: h.Unique})
			out = append(append([]byte(nil), out...), data...)
		}
		unix.Write(fd, out)
	}
}

// replay has conntest do what the shell did, on answers as they were recorded, and
// returns what either side sent alone.
func replay(t *testing.T, name string, do func(c *conntest.Client, p *player)) (extra, missing []string) {
	p := &player{all: recorded(t, name), attr: map[uint64][]byte{}}
	done := make(chan bool)
	k, err := conntest.NewSocket(func(fd int) error {
		d, err := unix.Dup(fd)
		if err != nil {
			return err
		}
		go func() {
			defer close(done)
			defer unix.Close(d)
			p.serve(d)
		}()
		return nil
	}, &conntest.Options{Shared: true, DefaultPermissions: true, Readahead: 32})
	if err != nil {
		t.Fatal(err)
	}
	c := k.Process(0, 0)
	c.Umask = 0o22
	do(c, p)
	k.Idle()
	for _, v := range k.Violations() {
		t.Log(v)
	}
	k.Unmount()
	<-done
	for _, e := range p.all {
		if !e.used {
			missing = append(missing, e.text)
		}
	}
	return p.extra, missing
}
