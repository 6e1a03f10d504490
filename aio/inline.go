package aio

// Inline is the back end that carries an op out on the thread that started it:
// the submitter's, mostly. With a Scheduler whose Depth is 1 ops also take turns.
type Inline struct{}

// Start is Backend's.
func (Inline) Start(op *Op) bool {
	Do(op)
	return true
}

// Depth is Backend's: as many as there are threads that submit.
func (Inline) Depth() int { return 1 << 20 }

// Cancel is Backend's: there is nothing to be done.
func (Inline) Cancel(*Op) {}

// Close is Backend's.
func (Inline) Close() error { return nil }
