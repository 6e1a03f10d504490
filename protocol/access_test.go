package protocol

import (
	"bytes"
	"go/constant"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// TestAccessors calls every accessor on a message of every opcode and code: it
// returns the struct it is named after, with the bytes that were sent, if the
// message has that struct, else nil.
func TestAccessors(t *testing.T) {
	s := load(t)
	called := map[string]int{}
	check := func(what string, v reflect.Value, want map[kind][]byte) {
		t.Helper()
		for i := range v.NumMethod() {
			name, m := v.Type().Method(i).Name, v.Method(i)
			mt := m.Type()
			if mt.NumIn() != 0 || mt.NumOut() != 1 || mt.Out(0).Kind() != reflect.Pointer {
				continue
			}
			typ := mt.Out(0).Elem()
			if !strings.Contains("Notify"+name+"Out", typ.Name()) {
				t.Errorf("%s returns %s", name, typ.Name())
			}
			c, _ := constant.Uint64Val(s.consts[fold("k"+typ.Name())])
			b, ok := want[kind(c)]
			got := m.Call(nil)[0]
			if got.IsNil() != !ok {
				t.Errorf("%s: %s is nil: %v", what, name, got.IsNil())
				continue
			}
			if ok {
				called[v.Type().String()+"."+name]++
				full := make([]byte, typ.Size())
				copy(full, b)
				if view := unsafe.Slice((*byte)(got.UnsafePointer()), typ.Size()); !bytes.Equal(view, full) {
					t.Errorf("%s: %s\n got %x\nwant %x", what, name, view, full)
				}
			}
		}
	}
	for _, p := range []*Params{nil, {Minor: 8}, {Flags: InitSetxattrExt}} {
		for _, op := range allOps() {
			var r Request
			if err := r.Decode(sampleRequest(op, p), p); err != nil || r.Op() != op {
				t.Fatal(op, err)
			}
			want := map[kind][]byte{}
			if k := info(op).in; k != kNone {
				want[k] = r.Arg
			}
			check(op.String(), reflect.ValueOf(&r), want)

			var y Reply
			if err := y.Decode(op, sampleReply(op, p), p); err != nil {
				t.Fatal(op, err)
			}
			want = map[kind][]byte{}
			if k := info(op).out; k != kNone {
				want[k] = y.Arg
			}
			if k := info(op).out2; k != kNone {
				want[k] = y.Arg2
			}
			check(op.String(), reflect.ValueOf(&y), want)
		}
	}
	for _, op := range []Opcode{OpGetxattr, OpListxattr} {
		y := Reply{SizeOnly: true}
		b := (&Reply{Header: &OutHeader{Unique: 2}, Op: op, Arg: BytesOf(&GetxattrOut{Size: 5})}).Append(nil)
		if err := y.Decode(op, b, nil); err != nil {
			t.Fatal(err)
		}
		check(op.String(), reflect.ValueOf(&y), map[kind][]byte{kGetxattrOut: y.Arg})
	}
	for c := NotifyPoll; c <= NotifyPrune+1; c++ {
		var n Notify
		if err := n.Decode(sampleNotify(c)); err != nil {
			t.Fatal(err)
		}
		want := map[kind][]byte{}
		if k := noteInfo(c).in; k != kNone {
			want[k] = n.Arg
		}
		check(c.String(), reflect.ValueOf(&n), want)
	}
	if len(called) != 34+15+7 {
		t.Errorf("%d accessors returned something, want all 56", len(called))
	}
}

// TestErrnoNames has the names that a reply's text uses.
func TestErrnoNames(t *testing.T) {
	for e, want := range map[int32]string{
		-1: "EPERM", -5: "EIO", -11: "EAGAIN", -17: "EEXIST", -22: "EINVAL", -28: "ENOSPC", -34: "ERANGE", -512: "-512", 3: "3",
	} {
		if got := string(appendErrno(nil, e)); got != want {
			t.Errorf("%d: %s, want %s", e, got, want)
		}
	}
}
