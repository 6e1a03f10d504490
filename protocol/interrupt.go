package protocol

// InterruptIn is struct fuse_interrupt_in (8 bytes).
type InterruptIn struct {
	Unique uint64
}
