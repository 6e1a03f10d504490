package conntest_test

import (
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// options makes connections small.
func options(o conntest.Options) *conntest.Options {
	if o.Conn == nil {
		o.Conn = &conn.Options{MaxWrite: 64 << 10, Want: conntest.AllFlags &^ (protocol.InitWritebackCache | protocol.InitPosixACL)}
	}
	if o.Deadline == 0 {
		o.Deadline = 5 * time.Second
	}
	return &o
}

// mount serves fs and fails the test for every violation at its end.
func mount(t *testing.T, fs any, o *conntest.Options) *conntest.Kernel {
	t.Helper()
	k, err := conntest.New(ops.New(fs), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, err error, e unix.Errno) {
	t.Helper()
	if err != e {
		t.Fatalf("%v, want %v", err, e)
	}
}
