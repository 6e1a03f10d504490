//go:build !linux

package protocol

import "testing"

// guarded copies to memory of the right size, elsewhere than on Linux without a
// guard page.
func guarded(testing.TB) func(b []byte) []byte {
	return func(b []byte) []byte { return append(make([]byte, 0, len(b)+8), b...) }
}
