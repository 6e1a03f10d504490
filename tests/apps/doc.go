// Package apps runs ordinary programs on a served directory and asks for what
// a native directory gives.
//
// Each scene (git, go build, rsync, sqlite3, tar, cp, and the file calls that
// such programs lean on) is one function that works in a directory and writes
// a report: what a user of the program would look at afterwards, without
// times, inode numbers and anything else that may differ between two runs.
// The scene runs four times, in a process of its own:
//
//	            root              uid 1000
//	native      report A          report C
//	mount       report B          report D
//
// and A must equal B, C must equal D. A scene that fails says so on its
// standard error and exits with status 1, natively as well, so that a missing
// tool can not pass for agreement.
//
// Subpackages: gostd (Go's own file tests) and cpython (CPython's).
package apps
