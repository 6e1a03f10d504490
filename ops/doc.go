// Package ops says what requests mean: it calls a file system's methods.
//
// To add an opcode:
//
//  1. handler.go: its one-method interface, and what a missing one means
//  2. methods.go: a field for it, and a line that finds it
//  3. call.go: a case, which decodes the arguments; shape.go: what the reply
//     is made of and gives the kernel to hold, if anything
//  4. kernel_test.go: a line in the table of requests, with the reply's bytes
//
// (protocol has the opcode, its structs and accessors already, or first.)
//
// The way of a request:
//
//	conn reader ── Table.Serve ── serve(opcode) ── your Lookup, Read, ...
//	  (a locked       │                                 │ fills out, dst or d
//	   OS thread)     │                                 │ in the slot itself
//	                  └── send ◄── n, err, or Later ◄───┘
//	                       │            └─► any goroutine: r.Finish(n, err)
//	        one writev ◄───┤
//	                       └─► refused: Forget and CancelOpen what it held
//
// A file system is any value with some of the methods of handler.go; New finds
// them. Nodes keeps its objects under nodeids and counts lookups, DirBuf takes
// directory entries. A file system that would rather deal in names and
// io.ReaderAt is a Tree, which is thirty lines for a first one: see the example.
package ops
