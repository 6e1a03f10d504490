package hostile

import (
	"bytes"
	"fmt"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

func text(b []byte) string { return fmt.Sprintf("%.200x", b) }

// check says what is wrong with a reply, if it can be the answer to none of the
// requests with its id, and learns from it.
func (k *kernel) check(x *exchange, b []byte) string {
	h := protocol.ViewOf[protocol.OutHeader](b)
	if int(h.Len) != len(b) {
		return fmt.Sprintf("reply of %d bytes says %d", len(b), h.Len)
	}
	if h.Error > 0 || h.Error <= -512 || h.Error != 0 && len(b) != 16 {
		return fmt.Sprintf("reply with error %d and %d bytes", h.Error, len(b))
	}
	for _, s := range k.t.Secrets {
		if bytes.Contains(b, s) {
			return "what is outside shows in the reply to " + x.text()
		}
	}
	if h.Error != 0 {
		return ""
	}
	// Of several requests with one id it may answer any; what each would learn
	// from it is learnt.
	why, fits := "", false
	k.sure = len(x.requests) == 1
	for _, m := range x.requests {
		s := k.match(m, b)
		fits = fits || s == ""
		why += s
	}
	if fits {
		return ""
	}
	return why + ": " + x.text() + " answered " + text(b)
}

// match says why b cannot be the reply to m.
func (k *kernel) match(m, b []byte) string {
	var q protocol.Request
	p := k.m.params
	if err := q.Decode(m, &p); err != nil {
		return "a malformed request succeeded"
	}
	op := q.Op()
	if !op.Known() {
		return "an unknown opcode succeeded"
	}
	var r protocol.Reply
	size, most := -1, -1
	switch op {
	case protocol.OpGetxattr, protocol.OpListxattr:
		if size = int(q.GetxattrIn().Size); size == 0 {
			r.SizeOnly = true
		}
		most = size
	case protocol.OpRead, protocol.OpReaddir, protocol.OpReaddirplus:
		most = int(q.ReadIn().Size)
	case protocol.OpIoctl:
		most = int(q.IoctlIn().OutSize)
	case protocol.OpReadlink:
		most = 4096
	}
	if err := r.Decode(op, b, &p); err != nil {
		return err.Error()
	}
	if most >= 0 && uint64(len(r.Data)) > uint64(uint32(most)) {
		return fmt.Sprintf("%d bytes, more than asked for", len(r.Data))
	}
	switch op {
	case protocol.OpInit:
		// What decides how messages look. Only the first counts: another request
		// may have the same id, and its reply could be taken for one to INIT.
		out := r.InitOut()
		if k.init || out.Major != protocol.KernelVersion {
			break
		}
		k.init = true
		k.m.params = protocol.Params{Minor: out.Minor, Flags: protocol.InitFlags(out.Flags) | protocol.InitFlags(out.Flags2)<<32}
	case protocol.OpWrite:
		if n := r.WriteOut().Size; int(n) > len(q.Data) {
			return fmt.Sprintf("%d bytes written of %d", n, len(q.Data))
		}
	case protocol.OpCopyFileRange:
		if n := r.WriteOut().Size; uint64(n) > q.CopyFileRangeIn().Len {
			return fmt.Sprintf("%d bytes copied", n)
		}
	case protocol.OpCopyFileRange64:
		if n := r.CopyFileRangeOut().BytesCopied; n > q.CopyFileRangeIn().Len {
			return fmt.Sprintf("%d bytes copied", n)
		}
	case protocol.OpReaddir:
		return names(r.Data)
	case protocol.OpReaddirplus:
		return k.namesPlus(r.Data)
	case protocol.OpGetattr, protocol.OpSetattr:
		return k.attr(&r.AttrOut().Attr)
	case protocol.OpOpen:
		if t, ok := k.m.types[q.Header.Nodeid]; ok && k.sure && t != unix.S_IFREG {
			return fmt.Sprintf("a node of type %o was opened", t)
		}
		k.m.handles = append(k.m.handles, r.OpenOut().Fh)
	case protocol.OpOpendir:
		k.m.handles = append(k.m.handles, r.OpenOut().Fh)
	}
	if e := r.EntryOut(); e != nil {
		if o := r.OpenOut(); o != nil {
			if e.Nodeid != 0 && e.Attr.Mode&unix.S_IFMT != unix.S_IFREG {
				return fmt.Sprintf("a node of mode %o was opened", e.Attr.Mode)
			}
			k.m.handles = append(k.m.handles, o.Fh)
		}
		return k.entry(e)
	}
	return ""
}

// entry learns a node.
func (k *kernel) entry(e *protocol.EntryOut) string {
	if e.Nodeid == 0 {
		return ""
	}
	k.m.nodes = append(k.m.nodes, e.Nodeid)
	if k.sure {
		k.m.types[e.Nodeid] = e.Attr.Mode & unix.S_IFMT
	}
	return k.attr(&e.Attr)
}

func (k *kernel) attr(a *protocol.Attr) string {
	for _, ino := range k.t.Inos {
		if a.Ino == ino {
			return "attributes of something outside"
		}
	}
	return ""
}

func badName(b []byte) bool {
	return len(b) == 0 || len(b) > protocol.NameMax || bytes.ContainsAny(b, "/\x00")
}

func names(b []byte) string {
	for len(b) > 0 {
		_, name, rest, err := protocol.NextDirent(b)
		if err != nil || badName(name) {
			return fmt.Sprintf("entry %q, %v", name, err)
		}
		b = rest
	}
	return ""
}

func (k *kernel) namesPlus(b []byte) string {
	for len(b) > 0 {
		d, name, rest, err := protocol.NextDirentplus(b)
		if err != nil || badName(name) {
			return fmt.Sprintf("entry %q, %v", name, err)
		}
		if s := k.entry(&d.EntryOut); s != "" {
			return s
		}
		b = rest
	}
	return ""
}
