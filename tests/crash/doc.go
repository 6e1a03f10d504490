// Package crash holds what must be left of data when something ends early or fails.
// What fsync(2), msync(2) or a write with O_DSYNC has acknowledged is there
//
//   - after the server was killed, at any point, and another one serves the directory;
//   - after a power cut below: of what the back end was given, only what it was asked to
//     make durable counts.
//
// A process of its own writes on the mount, and notes in shared memory which generation
// of a block it has begun to write, and which has been acknowledged: any byte must be
// of that one or of a later one.
//
// What could not be written is reported, once to each open file, and costs nothing else.
// How far the kernel itself goes with that is in errors_test.go: expected.
package crash
