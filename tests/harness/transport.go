package harness

import (
	"os"
	"testing"

	"github.com/fusewire/fusewire/conn"
)

// TransportVar names the environment variable that says by which transport
// servers are to be tested: dev, uring or auto. Without it each has its default.
const TransportVar = "FUSEWIRE_TRANSPORT"

// Transport returns the transport for servers inside the test's process.
func Transport(t testing.TB) conn.Transport {
	t.Helper()
	switch v := os.Getenv(TransportVar); v {
	case "", "dev":
		return conn.TransportDev
	case "uring":
		return conn.TransportURing
	case "auto":
		return conn.TransportAuto
	default:
		t.Fatalf("%s is %q, which is none of dev, uring and auto", TransportVar, v)
		return 0
	}
}

// transportArgs puts the option for the program in front of args, which may say
// otherwise.
func transportArgs(args []string) []string {
	if v := os.Getenv(TransportVar); v != "" {
		return append([]string{"--transport=" + v}, args...)
	}
	return args
}
