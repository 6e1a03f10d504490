package faithful

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// childVar makes this binary the application on the real mount: a process of its
// own, since a server that waited for its own mount would wait for ever.
const childVar = "FUSEWIRE_FAITHFUL_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVar) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	harness.Main(m)
}

// task is what the child is told on its standard input.
type task struct {
	Dir       string
	Readahead bool
	Ops       []op
}

// child runs a program and prints what each operation returned. Notifications
// are the server's to send: it asks for them, a line each.
func child() error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var t task
	if err := json.Unmarshal(line, &t); err != nil {
		return err
	}
	root, err := unix.Open(t.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Fchdir(root); err != nil {
		return err
	}
	if err := unix.Chroot("."); err != nil { // as for a conntest.Client, the mount is all there is
		return err
	}
	unix.Umask(0)
	s := &reality{root: root, readahead: t.Readahead, notify: func(kind, path string) error {
		fmt.Printf("notify %s %s\n", kind, path)
		l, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if l = strings.TrimSpace(l); l == "0" {
			return nil
		}
		return errors.New(l)
	}}
	if err := s.barrier(); err != nil {
		return err
	}
	var results []string
	for i := range t.Ops {
		results = append(results, s.do(i, &t.Ops[i]))
		if err := s.barrier(); err != nil {
			return err
		}
	}
	b, err := json.Marshal(results)
	if err != nil {
		return err
	}
	fmt.Printf("done %s\n", b)
	return nil
}

// runChild runs tk in a child and answers its wishes.
func runChild(t testing.TB, tk *task, notify func(kind, path string) error) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childVar+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Dir = "/"
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	b, err := json.Marshal(tk)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stdin.Write(append(b, '\n')); err != nil {
		t.Fatal(err)
	}
	var results []string
	out := bufio.NewReader(stdout)
	for {
		l, err := out.ReadString('\n')
		if err != nil {
			break
		}
		if done, ok := strings.CutPrefix(l, "done "); ok {
			if err := json.Unmarshal([]byte(done), &results); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var kind, path string
		if _, err := fmt.Sscanf(l, "notify %s %s", &kind, &path); err != nil {
			t.Fatalf("the child says %q", l)
		}
		if _, err := fmt.Fprintln(stdin, result(notify(kind, path), "0")); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the child: %v", err)
	}
	return results
}
