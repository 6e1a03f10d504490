package conformance

import (
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// running is what may be done with a program while it runs: ETXTBSY.
func running() (all []test) {
	acts := []struct {
		name string
		f    func(a actor)
	}{
		{"write", func(a actor) { a.open("n", unix.O_WRONLY, 0) }},
		{"rdwr", func(a actor) { a.open("n", unix.O_RDWR, 0) }},
		{"trunc", func(a actor) { a.open("n", unix.O_RDONLY|unix.O_TRUNC, 0) }},
		{"read", func(a actor) { a.open("n", unix.O_RDONLY, 0) }},
		{"truncate", func(a actor) { a.truncate("n", 0) }},
		{"chmod", func(a actor) { a.chmod("n", 0o700) }},
		{"rename", func(a actor) { a.rename("n", "m", 0) }},
		{"unlink", func(a actor) { a.unlink("n") }},
	}
	for _, act := range acts {
		for _, u := range everyone {
			all = append(all, test{
				name: "running/" + act.name + "/" + u,
				fix: func(f *fixture) {
					program, err := os.ReadFile("/bin/sleep")
					must(err)
					f.file("n", 0o777, string(program))
				},
				act: func(r *run) {
					cmd := exec.Command(filepath.Join(r.dir, "n"), "60")
					must(cmd.Start()) // returns once execve has succeeded
					act.f(r.by(u))
					must(cmd.Process.Kill())
					_ = cmd.Wait() // killed
					r.by(u).open("n", unix.O_WRONLY, 0)
				},
			})
		}
	}
	return all
}
