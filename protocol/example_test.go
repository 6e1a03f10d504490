package protocol_test

import (
	"fmt"

	"github.com/fusewire/fusewire/protocol"
)

// A server's view of one request, which a simulated kernel encoded.
func ExampleRequest_Decode() {
	kernel := protocol.Request{
		Header: &protocol.InHeader{Opcode: protocol.OpMkdir, Unique: 6, Nodeid: protocol.RootID, Uid: 1000, Gid: 1000, Pid: 42},
		Arg:    protocol.BytesOf(&protocol.MkdirIn{Mode: 0o755, Umask: 0o22}),
		Name:   []byte("new dir"),
	}
	message := kernel.Append(nil)

	var r protocol.Request
	if err := r.Decode(message, &protocol.Params{Minor: 45}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%o %s\n", r.MkdirIn().Mode, r.Name)
	fmt.Printf("%s\n", r.AppendText(nil))
	// Output:
	// 755 new dir
	// MKDIR unique=6 nodeid=1 uid=1000 gid=1000 pid=42 (mode=0755 umask=022) name="new dir"
}

// What is malformed says where.
func ExampleError() {
	b := (&protocol.Request{Header: &protocol.InHeader{Opcode: protocol.OpOpen}}).Append(nil)
	fmt.Println(new(protocol.Request).Decode(b, nil))
	// Output: protocol: OPEN: argument: need 8 at offset 40, have 0
}

// A reply, and its size under an old minor.
func ExampleReply_Append() {
	r := protocol.Reply{
		Header: &protocol.OutHeader{Unique: 6},
		Op:     protocol.OpWrite,
		Arg:    protocol.BytesOf(&protocol.WriteOut{Size: 512}),
	}
	fmt.Println(len(r.Append(nil)))
	fmt.Printf("%s\n", r.AppendText(nil))
	fmt.Println(protocol.ReplySize(protocol.OpLookup, &protocol.Params{Minor: 8}))
	// Output:
	// 24
	// WRITE unique=6 ok (size=512)
	// 120 false
}

// A notification that drops a name.
func ExampleNotify_Append() {
	n := protocol.Notify{
		Code: protocol.NotifyInvalEntry,
		Arg:  protocol.BytesOf(&protocol.NotifyInvalEntryOut{Parent: 1, Namelen: 3}),
		Name: []byte("old"),
	}
	b := n.Append(nil)
	var again protocol.Notify
	fmt.Println(len(b), again.Decode(b), again.InvalEntry().Parent)
	fmt.Printf("%s\n", again.AppendText(nil))
	// Output:
	// 36 <nil> 1
	// NOTIFY INVAL_ENTRY (parent=1 namelen=3 flags=0) name="old"
}

// The data of a READDIR reply, there and back.
func ExampleNextDirent() {
	b := protocol.AppendDirent(nil, 1, 1, 4, []byte("."))
	b = protocol.AppendDirent(b, 7, 2, 8, []byte("file"))
	for {
		d, name, rest, err := protocol.NextDirent(b)
		if err != nil || name == nil {
			break
		}
		fmt.Println(d.Ino, d.Off, string(name))
		b = rest
	}
	// Output:
	// 1 1 .
	// 7 2 file
}

// Flags print as the kernel's names.
func ExampleInitFlags() {
	fmt.Println(protocol.InitPassthrough | protocol.InitMaxPages | 1<<50)
	fmt.Println(string(protocol.FopenFlagNames.AppendText(nil, protocol.FopenKeepCache|protocol.FopenCacheDir)))
	// Output:
	// MAX_PAGES|PASSTHROUGH|0x4000000000000
	// KEEP_CACHE|CACHE_DIR
}
