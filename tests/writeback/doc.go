// Package writeback holds what the page cache of a kernel that writes back must
// not do to files: each test is a trap in which some server has been caught. And
// that its limits are what was asked for, and that it does with little memory.
package writeback
