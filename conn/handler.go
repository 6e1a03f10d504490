package conn

import "github.com/fusewire/fusewire/protocol"

// Handler is what requests mean.
type Handler interface {
	// Init is called once, before the INIT reply, with what is going to be
	// answered: it may lower values and clear flags in out. An error refuses the
	// mount; users of the mountpoint get ECONNREFUSED and Serve returns it.
	Init(c *Conn, in *protocol.InitIn, out *protocol.InitOut) error

	// Serve answers r, or calls r.Detach and has it answered later. It runs on
	// a locked OS thread, one of several. A request it leaves unanswered, or
	// panics in, is answered with EIO. To NOTIFY_REPLY there is no answer.
	Serve(r *Request)

	// Forget takes nlookup references from nodeid: one FORGET, or one entry of
	// a BATCH_FORGET.
	Forget(nodeid, nlookup uint64)

	// Done is called once after Init succeeded and the last request is done:
	// the kernel sends no FORGET for what it still knew. It comes before Serve
	// returns unless a handler was stuck; then, when that one ends.
	Done()
}

// Tap sees the messages of a connection. Its methods are called from every
// reader at once; what they are given is theirs until they return.
type Tap interface {
	// Request is a message from the kernel. r is its decoding (valid only as far
	// as its header if the message is malformed), raw the message.
	Request(r *protocol.Request, raw []byte)
	// Reply is a message to the kernel in answer to a request of op, and what
	// writing it gave.
	Reply(op protocol.Opcode, msg []byte, err error)
	// Notify is a notification, and what writing it gave.
	Notify(msg []byte, err error)
}
