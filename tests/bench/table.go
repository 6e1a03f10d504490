package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// series are the results of one system in one row.
type series []float64

// median is NaN if there are none.
func (s series) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	t := slices.Clone(s)
	slices.Sort(t)
	if n := len(t); n%2 == 0 {
		return (t[n/2-1] + t[n/2]) / 2
	}
	return t[len(t)/2]
}

// table prints rows as they come, for what takes long is watched.
type table struct {
	w    io.Writer
	rows []result
}

const format = "%-28s %-8s %-16s %9s %9s %9s %8s %8s %8s %8s %8s %6s\n"

func (t *table) head(b *bench, backend string) {
	var u unix.Utsname
	_ = unix.Uname(&u) // or no name
	release := unix.ByteSliceToString(u.Release[:])
	fmt.Fprintf(t.w, "Linux %s, %d CPUs, %s, on %s; %d rounds\n\n", release, runtime.NumCPU(), runtime.Version(), backend, b.rounds)
	fmt.Fprintf(t.w, format, "row", "unit", "system", "median", "min", "max", "/native", "/peer", "req/op", "sys/op", "cpu us", "MB")
}

// better is how many times a is as good as b.
func (r *row) better(a, b float64) float64 {
	if r.lower {
		a, b = b, a
	}
	return a / b
}

// bestPeer is the best median of a peer; NaN if there is none.
func (r *result) bestPeer() float64 {
	best := math.NaN()
	for _, c := range r.cells {
		if m := c.results.median(); !c.sys.native() && !c.sys.ours && c.failed == nil && (math.IsNaN(best) || r.row.better(m, best) > 1) {
			best = m
		}
	}
	return best
}

// detail is what a cell's counts are made of, per operation.
func (c *cell) detail() string {
	var s []string
	for op, n := range c.asked.opcodes {
		s = append(s, fmt.Sprintf("%s %s", op, short(float64(n)/c.ops)))
	}
	slices.Sort(s)
	out := strings.Join(s, ", ")
	s = s[:0]
	for nr, n := range c.asked.numbers {
		if x := float64(n) / c.ops; x >= 0.01 {
			s = append(s, fmt.Sprintf("%03d %s", nr, short(x)))
		}
	}
	slices.Sort(s)
	return out + "; calls: " + strings.Join(s, ", ")
}

func (t *table) add(r result, verbose bool) {
	t.rows = append(t.rows, r)
	native, peer := r.cells[0].results.median(), r.bestPeer()
	name, unit := r.row.name, r.row.unit
	for _, c := range r.cells {
		if c.failed != nil {
			why, _, _ := strings.Cut(c.failed.Error(), "\n")
			fmt.Fprintf(t.w, "%-28s %-8s %-16s cannot: %s\n", name, unit, c.sys.name, why)
			name, unit = "", ""
			continue
		}
		m := c.results.median()
		req, sys, mb := "", "", ""
		if c.requests > 0 || c.syscalls > 0 {
			req, sys = short(c.requests), short(c.syscalls)
		}
		if c.peak > 0 {
			mb = fmt.Sprintf("%.1f", float64(c.peak)/(1<<20))
		}
		vsPeer := ""
		if c.sys.ours && !math.IsNaN(peer) {
			vsPeer = short(r.row.better(m, peer))
		}
		fmt.Fprintf(t.w, format, name, unit, c.sys.name, short(m), short(slices.Min(c.results)), short(slices.Max(c.results)),
			short(r.row.better(m, native)), vsPeer, req, sys, short(c.cpu.median()), mb)
		name, unit = "", ""
		if verbose && c.ops > 0 {
			fmt.Fprintf(t.w, "    %s\n", c.detail())
		}
	}
	fmt.Fprintln(t.w)
}

// summary is about the servers, not about what they did.
func (t *table) summary() {
	if len(t.rows) == 0 {
		return
	}
	fmt.Fprintf(t.w, "%-16s %12s %9s %12s %12s\n", "system", "ready ms", "min", "peak RSS MB", "threads")
	for i, c := range t.rows[0].cells {
		if c.sys.native() {
			continue
		}
		var ready series
		var peak int64
		threads := 0
		for _, r := range t.rows {
			ready = append(ready, r.cells[i].readyTime...)
			peak, threads = max(peak, r.cells[i].peak), max(threads, r.cells[i].threads)
		}
		fmt.Fprintf(t.w, "%-16s %12s %9s %12.1f %12d\n", c.sys.name, short(ready.median()), short(slices.Min(ready)), float64(peak)/(1<<20), threads)
	}
}

// short prints a number with three digits or so.
func short(x float64) string {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return "-"
	case x == 0:
		return "0"
	case x >= 1e6:
		return fmt.Sprintf("%.0fk", x/1000)
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 0.1:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.4f", x)
}

// colours by column, of ours and of the others.
var (
	ourColours  = []string{"#c0392b", "#e67e22", "#8e44ad", "#d35400", "#e84393"}
	peerColours = []string{"#2980b9", "#16a085", "#27ae60", "#7f8c8d"}
)

// svg draws each system's ratio to native, by row, on a logarithmic scale.
func (t *table) svg() []byte {
	const left, width, step, top = 230.0, 620.0, 22.0, 60.0
	low := 1.0
	for _, r := range t.rows {
		for _, c := range r.cells {
			if x := r.row.better(c.results.median(), r.cells[0].results.median()); x > 0 {
				low = min(low, x)
			}
		}
	}
	low = math.Floor(math.Log10(low))
	if low > -1 {
		low = -1
	}
	const high = 0.3 // a factor of two above native
	at := func(x float64) float64 { return left + width*(math.Log10(x)-low)/(high-low) }
	var b strings.Builder
	height := top + step*float64(len(t.rows)) + 20
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" font-family="sans-serif" font-size="12">`+"\n", left+width+20, height)
	fmt.Fprintln(&b, `<rect width="100%" height="100%" fill="white"/>`)
	for e := low; e <= 0; e++ {
		for _, m := range []float64{1, 2, 5} {
			x := m * math.Pow(10, e)
			if math.Log10(x) > high+0.01 {
				continue
			}
			fmt.Fprintf(&b, `<line x1="%.1f" y1="%g" x2="%.1f" y2="%g" stroke="#ddd"/><text x="%.1f" y="%g" text-anchor="middle" fill="#555">%g</text>`+"\n",
				at(x), top-8, at(x), height-20, at(x), top-12, x)
		}
	}
	colour := map[string]string{}
	nOurs, nPeers, x := 0, 0, left
	for _, c := range t.firstCells() {
		switch {
		case c.sys.native():
			continue
		case c.sys.ours:
			colour[c.sys.name] = ourColours[nOurs%len(ourColours)]
			nOurs++
		default:
			colour[c.sys.name] = peerColours[nPeers%len(peerColours)]
			nPeers++
		}
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="18" r="5" fill="%s"/><text x="%.1f" y="22">%s</text>`+"\n", x, colour[c.sys.name], x+9, c.sys.name)
		x += 28 + 7*float64(len(c.sys.name))
	}
	fmt.Fprintf(&b, `<text x="10" y="22">speed, native = 1</text>`+"\n")
	for i, r := range t.rows {
		y := top + step*(float64(i)+0.5)
		fmt.Fprintf(&b, `<text x="10" y="%.1f">%s</text><line x1="%g" y1="%.1f" x2="%g" y2="%.1f" stroke="#eee"/>`+"\n",
			y+4, r.row.name, left, y, left+width, y)
		for _, c := range r.cells {
			if ratio := r.row.better(c.results.median(), r.cells[0].results.median()); !c.sys.native() && ratio > 0 {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="5" fill="%s" fill-opacity="0.8"><title>%s: %s</title></circle>`+"\n",
					at(min(ratio, 2)), y, colour[c.sys.name], c.sys.name, short(ratio))
			}
		}
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

func (t *table) firstCells() []cell {
	if len(t.rows) == 0 {
		return nil
	}
	return t.rows[0].cells
}
