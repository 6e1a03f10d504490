package wb

func (m *model) write(f *mfile, off, n int, appends bool) {
	t := &Task{Off: int64(off), Data: m.data(n), Append: appends, Owner: f.b}
	if f.changer {
		m.behind(f, t)
		return
	}
	f.changer = true
	if appends {
		off = len(f.want)
	}
	m.note("%d: write %d at %d", f.i, n, off)
	if end := off + n; end > len(f.want) {
		f.resize(end)
	}
	copy(f.want[off:], t.Data)
	m.changed(f)
	over := f.f.Write(t)
	m.did(f, t, over, func() {
		if t.Off != int64(off) && !(t.Through && t.N == 0) {
			m.fail("%d: written at %d, not %d", f.i, t.Off, off)
		}
		f.changer = false
		if t.Through {
			m.note("%d: through from %d", f.i, t.N)
			m.through(f, off+t.N, t.Data[t.N:], false)
		} else if t.N != n || t.Err != 0 {
			m.fail("%d: wrote %d of %d: %v", f.i, t.N, n, t.Err)
		}
	})
}

// behind writes while a Claim is under way: at once, or when that is over. Only
// where a Write has nothing else to wait for.
func (m *model) behind(f *mfile, t *Task) {
	if !m.roomy || !f.claimed || f.writers > 0 {
		return
	}
	f.writers++
	m.note("%d: write %d at %d (append %v) behind a claim", f.i, len(t.Data), t.Off, t.Append)
	over := f.f.Write(t)
	m.did(f, t, over, func() {
		m.note("%d: written at %d", f.i, t.Off)
		f.writers--
		if t.Err != 0 || t.Through || t.N != len(t.Data) {
			m.fail("%d: wrote %d of %d: %v, through %v", f.i, t.N, len(t.Data), t.Err, t.Through)
		}
		if end := int(t.Off) + t.N; end > len(f.want) {
			f.resize(end)
		}
		copy(f.want[t.Off:], t.Data)
		m.changed(f)
	})
}

// release ends a granted Claim, now or some time later.
func (m *model) release(f *mfile, t *Task) {
	end := func() {
		f.changer, f.claimed = false, false
		f.f.Release(t, t.Err == 0)
	}
	if m.rng.IntN(2) == 0 {
		end()
	} else {
		m.held = append(m.held, end)
	}
}

// through writes to the back end itself.
func (m *model) through(f *mfile, off int, data []byte, shape bool) {
	if f.changer {
		return
	}
	f.changer, f.claimed = true, true
	end := off + len(data)
	t := &Task{Off: int64(off), Len: int64(len(data)), Cut: -1}
	if v := f.f.View(); end > len(f.b.live) || v.Dirty && v.Size > int64(len(f.b.live)) {
		t.Off, t.Len = 0, -1
	}
	m.note("%d: through %d at %d", f.i, len(data), off)
	over := f.f.Claim(t)
	m.did(f, t, over, func() {
		if t.Err == 0 {
			f.b.write(data, int64(off))
			if end > len(f.want) {
				f.resize(end)
			}
			copy(f.want[off:], data)
			m.changed(f)
		}
		m.release(f, t)
	})
}

func (m *model) truncate(f *mfile, size int) {
	if f.changer {
		return
	}
	f.changer, f.claimed = true, true
	t := &Task{Off: 0, Len: -1, Cut: int64(size)}
	m.note("%d: truncate %d", f.i, size)
	over := f.f.Claim(t)
	m.did(f, t, over, func() {
		if t.Err == 0 {
			f.b.truncate(size)
			f.resize(size)
			m.changed(f)
		}
		m.release(f, t)
	})
}

func (m *model) punch(f *mfile, off, n int) {
	if f.changer {
		return
	}
	f.changer, f.claimed = true, true
	t := &Task{Off: int64(off), Len: int64(n), Cut: -1}
	m.note("%d: punch %d at %d", f.i, n, off)
	over := f.f.Claim(t)
	m.did(f, t, over, func() {
		if t.Err == 0 {
			if off < len(f.b.live) {
				clear(f.b.live[off:min(off+n, len(f.b.live))])
			}
			if off < len(f.want) {
				clear(f.want[off:min(off+n, len(f.want))])
			}
			m.changed(f)
		}
		m.release(f, t)
	})
}

// copy is copy_file_range(2).
func (m *model) copy(from, to *mfile, a, b, n int) {
	if from.changer || to.changer || from == to {
		return
	}
	from.changer, to.changer = true, true
	from.copies, to.copies = true, true
	m.note("%d: copy %d at %d to %d at %d", from.i, n, a, to.i, b)
	s := &Task{Off: int64(a), Len: int64(n), Cut: -1}
	over := from.f.Sync(s)
	m.did(from, s, over, func() {
		if s.Err != 0 {
			from.changer, to.changer = false, false
			from.copies, to.copies = false, false
			return
		}
		t := &Task{Off: 0, Len: -1, Cut: -1}
		over := to.f.Claim(t)
		m.did(to, t, over, func() {
			if k := min(n, len(from.b.live)-a); t.Err == 0 && k > 0 {
				to.b.write(from.b.live[a:a+k], int64(b))
				if b+k > len(to.want) {
					to.resize(b + k)
				}
				copy(to.want[b:], from.want[a:a+k])
				m.changed(to)
			}
			from.changer, to.changer = false, false
			from.copies, to.copies = false, false
			to.f.Release(t, t.Err == 0)
		})
	})
}
