// Package mount holds the tests of a mount's life: it comes, it goes, however
// often and however hard it is used at the time, and it leaves nothing behind.
// It also measures what a mount costs when nobody uses it, and holds the
// program to its command line, its signals and its debug output.
package mount
