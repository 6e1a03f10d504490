package faithful

import (
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
)

// maxWrite is small, so that I/O of some ten thousand bytes is split.
const maxWrite = 16 << 10

// mode is a way of serving: what is negotiated and what the replies say.
type mode struct {
	name      string
	want      protocol.InitFlags // besides base
	mask      protocol.InitFlags
	entry     time.Duration // timeouts
	attr      time.Duration
	negative  time.Duration
	open      uint32 // FOPEN_*
	direct    bool   // programs open with O_DIRECT, too
	readahead bool
	without   []string
}

const base = conn.DefaultWant | protocol.InitBigWrites | protocol.InitMaxPages

const ever = time.Hour

func (m *mode) options(t *tap) *conn.Options {
	return &conn.Options{MaxWrite: maxWrite, Want: base | m.want, Mask: m.mask, Threads: 1, IdleThreads: 1, Trace: t}
}

var modes = []mode{
	{name: "write-through", entry: ever, attr: ever},
	{name: "no-timeouts", open: protocol.FopenDirectIO, want: protocol.InitAtomicOTrunc, mask: protocol.InitAutoInvalData},
	{name: "readdirplus", entry: ever, attr: ever, negative: ever, open: protocol.FopenKeepCache,
		want: protocol.InitDoReaddirplus | protocol.InitReaddirplusAuto | protocol.InitHandleKillprivV2 | protocol.InitAtomicOTrunc},
	{name: "readdirplus-always", entry: ever, want: protocol.InitDoReaddirplus | protocol.InitHandleKillprivV2},
	{name: "write-back", entry: ever, attr: ever, open: protocol.FopenKeepCache, want: protocol.InitWritebackCache},
	{name: "direct", entry: ever, attr: ever, open: protocol.FopenDirectIO},
	{name: "parallel-direct", entry: ever, attr: ever, open: protocol.FopenDirectIO | protocol.FopenParallelDirectWrites,
		want: protocol.InitAtomicOTrunc | protocol.InitHandleKillprivV2},
}
