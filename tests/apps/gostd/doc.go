// Package gostd runs the tests that Go has for its own file packages (os,
// io/fs, path/filepath and cmd/go/internal/lockedfile) with TMPDIR on a
// served directory.
//
// The tests are built from the toolchain's sources and run natively and on
// the mount, as root and as an ordinary user; every test and subtest must end
// as it ends natively. What may differ is listed in differ, with the reason.
package gostd
