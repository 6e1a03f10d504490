package apps

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// dirDeleteScene reads directories of 3,000 entries while a part of the
// entries is deleted under the reader. POSIX lets a deleted name appear or not;
// a name that stays must appear once, and one that was gone before must not.
func dirDeleteScene(s *scene) {
	const total = 3000
	for _, size := range []int{512, 4096, 32 << 10} {
		dir := fmt.Sprintf("d%d", size)
		s.check(os.Mkdir(dir, 0o755))
		name := func(i int) string {
			// Long names: many blocks of directory.
			return fmt.Sprintf("%s/%04d-%s", dir, i, strings.Repeat("x", i%40))
		}
		base := func(i int) string { return strings.TrimPrefix(name(i), dir+"/") }
		for i := range total {
			s.check(os.WriteFile(name(i), nil, 0o600))
		}
		// i%5 == 0: gone before. i%5 in 1, 2: deleted while reading. Else: stays.
		for i := 0; i < total; i += 5 {
			s.check(os.Remove(name(i)))
		}
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		s.check(err)
		started := make(chan struct{})
		done := make(chan error, 1)
		go func() {
			<-started
			for i := range total {
				if i%5 == 1 || i%5 == 2 {
					if err := os.Remove(name(i)); err != nil {
						done <- err
						return
					}
				}
			}
			done <- nil
		}()
		seen := map[string]int{}
		buf := make([]byte, size)
		for reads := 0; ; reads++ {
			n, err := unix.ReadDirent(fd, buf)
			s.check(err)
			if n == 0 {
				break
			}
			if reads == 1 {
				close(started)
			}
			_, _, names := unix.ParseDirent(buf[:n], -1, nil)
			for _, nm := range names {
				seen[nm]++
			}
		}
		s.check(<-done)
		verify := func(what string, whileReading bool) {
			for i := range total {
				n := seen[base(i)]
				switch i % 5 {
				case 0:
					if n != 0 {
						s.fail("%s, buffer %d: %s was gone before, seen %d times", what, size, base(i), n)
					}
				case 1, 2:
					if n > 1 || n == 1 && !whileReading {
						s.fail("%s, buffer %d: deleted %s seen %d times", what, size, base(i), n)
					}
				default:
					if n != 1 {
						s.fail("%s, buffer %d: %s seen %d times", what, size, base(i), n)
					}
				}
			}
		}
		verify("while deleting", true)
		// Again from the start, on the same descriptor and on a new one.
		again := func(what string, fd int) {
			seen = map[string]int{}
			for {
				n, err := unix.ReadDirent(fd, buf)
				s.check(err)
				if n == 0 {
					break
				}
				_, _, names := unix.ParseDirent(buf[:n], -1, nil)
				for _, nm := range names {
					seen[nm]++
				}
			}
			verify(what, false)
		}
		_, err = unix.Seek(fd, 0, unix.SEEK_SET)
		s.check(err)
		again("rewound", fd)
		fd2, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		s.check(err)
		again("opened again", fd2)
		s.check(unix.Close(fd))
		s.check(unix.Close(fd2))
		s.say("buffer %d: %s", size, s.run("sh", "-c", "ls -f "+dir+" | sort | sha256sum"))
		// rm -r reads and deletes in one.
		s.run("rm", "-r", dir)
	}
	left, err := os.ReadDir(".")
	s.check(err)
	s.say("left: %v", left)
}
