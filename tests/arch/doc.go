// Package arch has no code, only tests: that package protocol builds for every
// system and architecture that it promises, and that all packages pass their own
// tests on a big-endian and on a 32-bit machine, under qemu's user mode.
package arch
