// Package passfs holds the tests of ops/passfs that take root: a server that
// becomes its callers, gives files away, sets what only root may set, and meets
// mounts inside its source. They speak to it as the kernel does, over a socket;
// what takes no root is tested in ops/passfs itself.
package passfs
