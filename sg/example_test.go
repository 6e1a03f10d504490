package sg_test

import (
	"fmt"

	"github.com/fusewire/fusewire/sg"
	"golang.org/x/sys/unix"
)

// A header and a payload that lie apart become one message, without a copy.
func Example() {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		panic(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])

	var message sg.Vec
	for _, part := range []string{"header ", "and ", "payload"} {
		if err := message.AppendMem([]byte(part)); err != nil {
			panic(err)
		}
	}
	n, err := sg.Writev(p[1], &message)
	fmt.Println(n, err)

	got := make([]byte, n)
	n, err = unix.Read(p[0], got)
	fmt.Printf("%s %v\n", got[:n], err)
	// Output:
	// 18 <nil>
	// header and payload <nil>
}
