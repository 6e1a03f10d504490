// Package arch has no code, only tests: that package protocol builds for every
// system and architecture that it promises, and passes its own tests on a
// big-endian and on a 32-bit one, under qemu's user mode.
package arch
