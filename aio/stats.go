package aio

import (
	"math/bits"
	"strconv"
)

// LatencyBuckets is how many a histogram has: bucket 0 counts what took less than
// a microsecond, bucket i what took less than 2^i, the last one all the rest.
const LatencyBuckets = 28

// Stats is what an engine has done, and has in hand.
type Stats struct {
	Inline    uint64 // done on the submitter's thread, at once; not in what follows
	Submitted uint64 // queued
	Done      uint64 // of these, ended, however
	Failed    uint64 // of these, with an error
	Cancelled uint64 // ended before they began
	Started   uint64 // ops of the back end
	Merged    uint64 // ops that were carried out as part of another
	Retried   uint64 // ops carried out again, alone, after a merged one failed
	Expired   uint64 // times Gather ran out
	Waited    uint64 // Submits that had to wait
	Bytes     uint64 // transferred

	Ops, Depth, Waiting int // in hand; of these, units with the back end; Submits that wait
	PeakOps, PeakDepth  int
	InFlight, PeakBytes int64 // bytes in hand

	Latency [LatencyBuckets]uint64 // from Submit to the end, of what was queued
}

// count adds an op that has ended.
func (t *Stats) count(op *Op, ns int64) {
	t.Done++
	if op.Err != 0 {
		t.Failed++
	}
	if op.Kind == Read || op.Kind == Write || op.Kind == CopyRange {
		t.Bytes += uint64(op.N)
	}
	t.Latency[min(bits.Len64(uint64(ns)/1000), LatencyBuckets-1)]++
}

// Stats is Engine's.
func (s *Scheduler) Stats() Stats {
	s.mu.Lock()
	t := s.stats
	t.Ops, t.Depth, t.InFlight = s.ops, s.running, s.bytes
	s.mu.Unlock()
	for i := range s.shards {
		t.Inline += s.shards[i].done()
	}
	return t
}

// AppendText appends "inline=1 submitted=2 ...", and the histogram's buckets that
// are not empty as "<8us=3". Its error is nil.
func (t *Stats) AppendText(b []byte) ([]byte, error) {
	for i, f := range [...]struct {
		name string
		n    uint64
	}{
		{"inline", t.Inline}, {"submitted", t.Submitted}, {"done", t.Done}, {"failed", t.Failed},
		{"cancelled", t.Cancelled}, {"started", t.Started}, {"merged", t.Merged}, {"retried", t.Retried},
		{"expired", t.Expired}, {"waited", t.Waited}, {"bytes", t.Bytes}, {"ops", uint64(t.Ops)},
		{"depth", uint64(t.Depth)}, {"waiting", uint64(t.Waiting)}, {"in_flight", uint64(t.InFlight)},
		{"peak_ops", uint64(t.PeakOps)}, {"peak_depth", uint64(t.PeakDepth)}, {"peak_bytes", uint64(t.PeakBytes)},
	} {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(append(b, f.name...), '=')
		b = strconv.AppendUint(b, f.n, 10)
	}
	for i, n := range t.Latency {
		if n == 0 {
			continue
		}
		if i < LatencyBuckets-1 {
			b = append(b, " <"...)
			b = strconv.AppendUint(b, 1<<i, 10)
		} else {
			b = append(b, " >="...)
			b = strconv.AppendUint(b, 1<<(i-1), 10)
		}
		b = append(b, "us="...)
		b = strconv.AppendUint(b, n, 10)
	}
	return b, nil
}
