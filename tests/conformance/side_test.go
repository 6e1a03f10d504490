package conformance

import (
	"fmt"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// side is one of the two places a case runs in.
type side struct {
	make   string // where root prepares
	view   string // where the users act
	behind string // the same directory behind the mount; view where there is none
	people map[string]*person
	coarse bool   // times are FUSE's own
	seal   func() // nil, or what makes the view read-only once all is prepared
}

func newSide(t testing.TB, dir, view, behind string) *side {
	s := &side{make: dir, view: view, behind: behind, people: map[string]*person{}}
	for _, u := range users {
		s.people[u.name] = &person{name: u.name, th: harness.As(t, u.cred)}
	}
	return s
}

// play runs all cases on one side and returns what each noted.
func (s *side) play(t testing.TB, tests []test) [][]string {
	t.Helper()
	logs := make([][]string, len(tests))
	if s.seal != nil {
		for i := range tests {
			s.prepare(i, &tests[i])
		}
		s.seal()
	}
	for i := range tests {
		if s.seal == nil {
			s.prepare(i, &tests[i])
		}
		logs[i] = s.act(i, &tests[i])
	}
	// A working directory would keep a mount busy.
	for _, p := range s.people {
		p.th.Do(func() { must(unix.Chdir("/")) })
		p.in = nil
	}
	return logs
}

func caseDir(i int) string { return fmt.Sprintf("c%05d", i) }

func (s *side) prepare(i int, c *test) {
	defer named(c)
	f := &fixture{dir: filepath.Join(s.make, caseDir(i))}
	must(unix.Mkdir(f.dir, 0o777))
	must(unix.Chmod(f.dir, 0o777))
	if c.fix != nil {
		c.fix(f)
	}
	f.age()
}

func (s *side) act(i int, c *test) []string {
	defer named(c)
	r := &run{s: s, dir: filepath.Join(s.view, caseDir(i))}
	var err error
	if r.fd, err = unix.Open(r.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOATIME, 0); err != nil {
		panic(err)
	}
	was := mark(r.dir)
	tick(s.coarse)
	c.act(r)
	for _, fd := range r.fds {
		unix.Close(fd)
	}
	unix.Close(r.fd)
	r.log = append(r.log, dump("view", r.dir, was, true)...)
	// The reads just made have changed access times.
	r.log = append(r.log, dump("behind", filepath.Join(s.behind, caseDir(i)), was, false)...)
	return r.log
}

// named adds the case's name to a panic.
func named(c *test) {
	if p := recover(); p != nil {
		panic(fmt.Sprintf("%s: %v", c.name, p))
	}
}
