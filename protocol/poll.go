package protocol

// PollIn is struct fuse_poll_in (24 bytes, 7.11).
type PollIn struct {
	Fh     uint64
	Kh     uint64 // names the waiter in NotifyPollWakeupOut
	Flags  uint32 // Poll*
	Events uint32 // 7.21: POLL* asked for
}

// Bits of PollIn.Flags.
const (
	PollScheduleNotify = 1 << 0 // send NotifyPoll once it is ready
)

// PollOut is struct fuse_poll_out (8 bytes, 7.11).
type PollOut struct {
	Revents uint32 // POLL* that hold
	Padding uint32
}
