// Package writeback holds what the page cache of a kernel that writes back must
// not do to files: each test is a trap in which some server has been caught.
package writeback
