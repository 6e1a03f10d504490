package conntest

import (
	"strconv"

	"github.com/fusewire/fusewire/protocol"
)

// Violation is a rule of the protocol that the server broke.
type Violation struct {
	Op     protocol.Opcode // of the request concerned; 0: none, or a notification
	Unique uint64          // of the message
	Nodeid uint64          // of the request
	Rule   string          // what is wrong
	Effect string          // what a real kernel does about it
}

// Error says what is wrong and what a real kernel would have done.
func (v *Violation) Error() string {
	b := []byte("conntest: ")
	if v.Op != 0 {
		b = v.Op.AppendText(b)
		b = append(b, ' ')
	}
	b = strconv.AppendUint(append(b, "unique "...), v.Unique, 10)
	if v.Nodeid != 0 {
		b = strconv.AppendUint(append(b, " nodeid "...), v.Nodeid, 10)
	}
	b = append(append(b, ": "...), v.Rule...)
	return string(append(append(b, "; kernel: "...), v.Effect...))
}

// maxViolations bounds what is kept; the first ones tell the story.
const maxViolations = 100

// report records a violation. k.mu is held.
func (k *Kernel) report(r *request, unique uint64, rule, effect string) {
	v := &Violation{Unique: unique, Rule: rule, Effect: effect}
	if r != nil {
		v.Op, v.Nodeid = r.op, r.nodeid
	}
	if len(k.violations) < maxViolations {
		k.violations = append(k.violations, v)
	}
}

// Violations returns what the server has done wrong so far, oldest first, at
// most the first hundred.
func (k *Kernel) Violations() []*Violation {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]*Violation(nil), k.violations...)
}
