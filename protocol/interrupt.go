package protocol

// InterruptIn is struct fuse_interrupt_in (8 bytes, 7.7).
type InterruptIn struct {
	Unique uint64 // of the request that is to be given up
}
