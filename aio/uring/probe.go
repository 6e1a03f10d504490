package uring

import "unsafe"

// Probe is the set of operations a kernel knows.
type Probe struct{ bits [4]uint64 }

// probeMax is how many operations are asked about: all an opcode can name.
const probeMax = 256

type probeArg struct {
	head probeHead
	ops  [probeMax]probeOp
}

// Probe asks which operations the kernel knows.
func (r *Ring) Probe() (*Probe, error) {
	arg := new(probeArg)
	if err := r.register("probe", regProbe, unsafe.Pointer(arg), probeMax); err != nil {
		return nil, err
	}
	p := new(Probe)
	for _, op := range arg.ops[:min(int(arg.head.opsLen), probeMax)] {
		if op.flags&1 != 0 {
			p.bits[op.op>>6] |= 1 << (op.op & 63)
		}
	}
	return p, nil
}

// Has reports whether the kernel knows operation op.
func (p *Probe) Has(op uint8) bool { return p.bits[op>>6]>>(op&63)&1 != 0 }
