package conformance

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// test is one case: what root prepares and what is then done.
type test struct {
	name string
	fix  func(f *fixture)
	act  func(r *run)
}

// users are those who act. Files in fixtures belong to 1001:1001 unless said
// otherwise.
var users = []struct {
	name string
	cred harness.Cred
}{
	{"root", harness.Cred{}},
	{"owner", harness.Cred{Uid: 1001, Gid: 1001, Groups: []uint32{2001}}},
	{"member", harness.Cred{Uid: 1002, Gid: 1002, Groups: []uint32{2002, 1001}}},
	{"other", harness.Cred{Uid: 1003, Gid: 1003}},
}

// everyone, and the usual subsets.
var (
	everyone = []string{"root", "owner", "member", "other"}
	rootAndI = []string{"root", "owner"}
)

// person is a user's thread on one side.
type person struct {
	name string
	th   *harness.Thread
	in   *run // the run whose directory is the working directory
}

// run is one case on one side.
type run struct {
	s   *side
	dir string // the case's directory as the actors see it
	fd  int    // the same, open
	log []string
	fds []int // left open by the case
}

func (r *run) note(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

// actor is a user in a case: its methods are the calls.
type actor struct {
	r *run
	p *person
}

// by returns the user called name.
func (r *run) by(name string) actor { return actor{r, r.s.people[name]} }

// on runs f as the user, in the case's directory, with umask 0 unless the
// case has set another.
func (a actor) on(f func() error) (err error) {
	a.p.th.Do(func() {
		if a.p.in != a.r {
			if err = unix.Fchdir(a.r.fd); err != nil {
				return
			}
			unix.Umask(0)
			a.p.in = a.r
		}
		err = f()
	})
	return err
}

// call runs f as the user and notes its outcome under a label.
func (a actor) call(f func() error, format string, args ...any) bool {
	err := a.on(f)
	a.r.note("%s %s=%s", a.p.name, fmt.Sprintf(format, args...), errno(err))
	return err == nil
}

// value is call with a result worth noting.
func (a actor) value(f func() (string, error), format string, args ...any) bool {
	var v string
	err := a.on(func() (err error) { v, err = f(); return err })
	if err != nil {
		v = errno(err)
	}
	a.r.note("%s %s=%s", a.p.name, fmt.Sprintf(format, args...), v)
	return err == nil
}

// errno names an error as C does.
func errno(err error) string {
	var e unix.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &e):
		return unix.ErrnoName(e)
	default:
		return err.Error()
	}
}

// short makes long names readable in labels.
func short(s string) string {
	if len(s) <= 40 {
		return s
	}
	return fmt.Sprintf("%s...[%d]", s[:8], len(s))
}

// The times every fixture has before the acting starts: access before
// modification, so that relatime updates it on the first read.
var (
	setAtime = unix.Timespec{Sec: 1000000000, Nsec: 500000000}
	setMtime = unix.Timespec{Sec: 1100000000, Nsec: 123456789}
)

// tick returns once two timestamps taken before and after it must differ.
// Linux 6.13 gives ext4 a fresh timestamp whenever the last one was looked at;
// before that, and where FUSE's own times count (coarse), the clock of timestamps
// stands still for up to 10 ms.
func tick(coarse bool) {
	if multigrain && !coarse {
		return
	}
	// Not until it has moved: what was set before may be of a finer clock, which the
	// coarse one follows (kernel/time/timekeeping.c: ktime_get_coarse_real_ts64_mg).
	var a, b unix.Timespec
	must(unix.ClockGettime(unix.CLOCK_REALTIME, &a))
	for b.Nano() <= a.Nano() {
		time.Sleep(time.Millisecond)
		must(unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &b))
	}
}

// multigrain is whether the kernel is 6.13 or newer.
var multigrain = func() bool {
	var u unix.Utsname
	must(unix.Uname(&u))
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 6 || major == 6 && minor >= 13
}()

// must is for what cannot fail unless the test itself is wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func join(parts ...string) string { return strings.Join(parts, "/") }
