// Package vm has no code, only tests: other kernels and machines than the one at
// hand, booted under qemu without hardware support, with one program (guest) in
// place of everything else. It serves cmd/passthrough's mount there and checks it.
//
// Kernels come from Debian's archive with apt, which touches nothing of the
// machine's own lists, and are kept in the user's cache directory. What cannot be
// had fails the test.
package vm
