package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// place is where a row is worked on.
type place struct {
	b   *bench
	src string // the source, natively
	dir string // what is measured: the mount point, or src
}

// row is one workload.
type row struct {
	name, unit string
	lower      bool // less is better
	few        bool // too long, or too many requests, to be counted
	// setup makes, in the source, what the row needs; once.
	setup func(p *place) error
	// before makes, in the source, what each measurement uses up.
	before func(p *place) error
	// warm uses the mount before it is measured.
	warm func(p *place) error
	// work is what is measured; it returns how many operations it was, and a
	// result of its own, or 0: operations a second, or seconds if lower.
	work func(p *place) (ops, result float64, err error)
	// after cleans up in the source.
	after func(p *place) error
}

// cell is what one system did in one row.
type cell struct {
	sys       *system
	results   series
	cpu       series // microseconds per operation
	requests  float64
	syscalls  float64
	asked     tally // whole numbers, of
	ops       float64
	peak      int64
	threads   int
	readyTime series // milliseconds
	failed    error  // a peer cannot do this row
}

// result is a row of the table.
type result struct {
	row   *row
	cells []cell
}

// runRow measures sys in turn.
func (b *bench) runRow(r *row, sys []system) (result, error) {
	res := result{row: r, cells: make([]cell, len(sys))}
	p := &place{b: b, src: filepath.Join(b.base, "src")}
	if err := os.MkdirAll(p.src, 0o755); err != nil {
		return res, err
	}
	if r.setup != nil {
		if err := r.setup(p); err != nil {
			return res, err
		}
	}
	for i := range sys {
		res.cells[i].sys = &sys[i]
	}
	for range b.rounds {
		for i := range sys {
			c := &res.cells[i]
			if c.failed != nil {
				continue
			}
			if err := b.measure(r, &sys[i], c); err != nil {
				if sys[i].native() || sys[i].ours {
					return res, fmt.Errorf("%s: %w", sys[i].name, err)
				}
				c.failed, c.results = err, nil
			}
		}
	}
	if b.trace == nil || r.few {
		return res, nil
	}
	for i := range sys {
		if sys[i].native() || res.cells[i].failed != nil {
			continue
		}
		if err := b.countRow(r, &sys[i], &res.cells[i]); err != nil {
			return res, fmt.Errorf("%s: counting: %w", sys[i].name, err)
		}
	}
	return res, nil
}

// with runs f on a new mount of s, with everything r needs before and after.
func (b *bench) with(r *row, s *system, f func(p *place, v *server) error) (err error) {
	p := &place{b: b, src: filepath.Join(b.base, "src")}
	if r.before != nil {
		if err := r.before(p); err != nil {
			return err
		}
	}
	mnt := filepath.Join(b.work, "mnt")
	if err := os.MkdirAll(mnt, 0o755); err != nil {
		return err
	}
	v, err := s.start(p.src, mnt)
	if err != nil {
		return err
	}
	p.dir = v.dir
	if r.warm != nil {
		err = r.warm(p)
	}
	if err == nil {
		err = f(p, v)
	}
	err = errors.Join(err, v.stop())
	if r.after != nil {
		err = errors.Join(err, r.after(p))
	}
	return err
}

// measure does r once.
func (b *bench) measure(r *row, s *system, c *cell) error {
	return b.with(r, s, func(p *place, v *server) error {
		before, err := v.usage()
		if err != nil {
			return err
		}
		began := time.Now()
		ops, x, err := r.work(p)
		took := time.Since(began)
		if err != nil {
			return err
		}
		after, err := v.usage()
		if err != nil {
			return err
		}
		switch {
		case x != 0:
		case r.lower:
			x = took.Seconds()
		default:
			x = ops / took.Seconds()
		}
		c.results = append(c.results, x)
		c.cpu = append(c.cpu, float64(after.since(&before).Microseconds())/ops)
		c.readyTime = append(c.readyTime, v.ready.Seconds()*1000)
		c.peak, c.threads = max(c.peak, after.peak), max(c.threads, after.threads)
		return nil
	})
}

// countRow does r twice more: for the requests, and for the system calls.
func (b *bench) countRow(r *row, s *system, c *cell) error {
	for _, calls := range []bool{false, true} {
		err := b.with(r, s, func(p *place, v *server) error {
			n, err := b.trace.count(v, calls, func() error {
				ops, _, err := r.work(p)
				c.ops = ops
				time.Sleep(20 * time.Millisecond) // RELEASE is not waited for
				return err
			})
			if calls {
				c.asked.syscalls, c.asked.numbers = n.syscalls, n.numbers
				c.syscalls = float64(n.syscalls) / c.ops
			} else {
				c.asked.requests, c.asked.opcodes = n.requests, n.opcodes
				c.requests = float64(n.requests) / c.ops
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
