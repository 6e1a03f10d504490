package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// series are the results of one side of a comparison.
type series []float64

func (s series) median() float64 {
	t := slices.Clone(s)
	slices.Sort(t)
	if n := len(t); n%2 == 0 {
		return (t[n/2-1] + t[n/2]) / 2
	}
	return t[len(t)/2]
}

func (s series) String() string {
	if len(s) == 1 {
		return short(s[0])
	}
	return fmt.Sprintf("%s [%s..%s]", short(s.median()), short(slices.Min(s)), short(slices.Max(s)))
}

// short prints a number with three digits or so.
func short(x float64) string {
	switch {
	case x >= 1000:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.3f", x)
}

// row is a line of the table. A compares two sides, or has one (b nil) only.
type row struct {
	name, unit string
	a, b       series
	ratio      float64 // what is judged
	need       string  // "" is nothing
	ok         bool
}

// table prints rows as they come, for what takes minutes is watched.
type table struct {
	w      io.Writer
	rounds int
	failed int
}

func (t *table) head(title, a, b string) {
	fmt.Fprintf(t.w, "\n## %s\n\n%-44s %-30s %-30s %9s  %s\n", title, "", "A: "+a, "B: "+b, "ratio", "required")
}

func (t *table) add(r row) {
	verdict := ""
	if r.need != "" {
		verdict = r.need + " ok"
		if !r.ok {
			verdict = r.need + " NOT OK"
			t.failed++
		}
	}
	b := ""
	if r.b != nil {
		b = r.b.String()
	}
	line := fmt.Sprintf("%-44s %-30s %-30s %9s  %s", r.name+", "+r.unit, r.a, b, short(r.ratio), verdict)
	fmt.Fprintln(t.w, strings.TrimRight(line, " "))
}

// atLeast adds a comparison that is well if B is need times A or more; need 0
// asks for nothing.
func (t *table) atLeast(name, unit string, a, b series, need float64) {
	r := row{name: name, unit: unit, a: a, b: b, ratio: b.median() / a.median()}
	if need > 0 {
		r.need, r.ok = fmt.Sprintf("≥ %g", need), r.ratio >= need
	}
	t.add(r)
}

// atMost is the other way round.
func (t *table) atMost(name, unit string, a, b series, need float64) {
	r := row{name: name, unit: unit, a: a, b: b, ratio: b.median() / a.median()}
	r.need, r.ok = fmt.Sprintf("≤ %.3g", need), r.ratio <= need
	t.add(r)
}

// equal adds a count that has to be what it has to be.
func (t *table) equal(name, unit string, got, want uint64) {
	t.add(row{name: name, unit: unit, a: series{float64(got)}, ratio: float64(got), need: fmt.Sprintf("= %d", want), ok: got == want})
}

// inTurn runs each of fs, and again from the first, so that what changes with time
// concerns all of them.
func (t *table) inTurn(fs ...func() (float64, error)) ([]series, error) {
	got := make([]series, len(fs))
	for range t.rounds {
		for i, f := range fs {
			x, err := f()
			if err != nil {
				return nil, err
			}
			got[i] = append(got[i], x)
		}
	}
	return got, nil
}

// alternate is inTurn of two.
func (t *table) alternate(a, b func() (float64, error)) (as, bs series, err error) {
	got, err := t.inTurn(a, b)
	if err != nil {
		return nil, nil, err
	}
	return got[0], got[1], nil
}

// iops compares two loads by ops a second, and returns what was counted last.
func (t *table) iops(a, b load) (as, bs series, an, bn counts, err error) {
	as, bs, err = t.alternate(a.iops(&an), b.iops(&bn))
	return as, bs, an, bn, err
}

func (l load) iops(n *counts) func() (float64, error) {
	return func() (float64, error) {
		r, c, err := l.measure()
		*n = c
		return r.IOPS, err
	}
}

func (l load) mibps() (float64, error) {
	r, _, err := l.measure()
	return r.Bytes / (1 << 20), err
}
