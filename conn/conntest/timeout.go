package conntest

import (
	"fmt"
	"time"

	"github.com/fusewire/fusewire/protocol"
)

// timerPeriod is fs/fuse's FUSE_TIMEOUT_TIMER_FREQ: how
// often a kernel looks for requests that are too old, and the least timeout.
const timerPeriod = 15 * time.Second

// checkTimeout is fs/fuse/dev.c: fuse_check_timeout, on the virtual clock: with
// a request that was not answered within request_timeout of INIT (7.43) the
// connection is aborted. Servers below 7.43, or without the flag, have no limit.
func (k *Kernel) checkTimeout() {
	if k.dead || k.params.Minor < 43 || !k.has(protocol.InitRequestTimeout) || k.init.RequestTimeout == 0 {
		return
	}
	limit := max(time.Duration(k.init.RequestTimeout)*time.Second, timerPeriod)
	var oldest *request
	look := func(r *request) {
		if !r.noReply && (oldest == nil || r.unique&^protocol.UniqueResend < oldest.unique&^protocol.UniqueResend) {
			oldest = r
		}
	}
	for _, r := range k.queue {
		look(r)
	}
	for _, r := range k.sent {
		look(r)
	}
	if oldest == nil || k.now-oldest.born <= int64(limit) {
		return
	}
	k.report(oldest, oldest.unique, fmt.Sprintf("was not answered within the request_timeout of %v", limit),
		"the connection is aborted: ECONNABORTED to every caller, ENOTCONN from then on")
	k.aborted = true
	k.abort()
}
