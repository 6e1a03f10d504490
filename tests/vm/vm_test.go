package vm

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bootWithin bounds one guest of n operations a model, which takes a tenth of it on
// an idle machine.
func bootWithin(n int) time.Duration { return 10*time.Minute + time.Duration(n)*100*time.Millisecond }

// TestGuests boots each machine and has the guest check a mount there.
func TestGuests(t *testing.T) {
	seed := rand.Uint64()
	if s := os.Getenv("FUSEWIRE_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			t.Fatalf("FUSEWIRE_SEED: %v", err)
		}
		seed = n
	}
	long, _ := strconv.ParseFloat(os.Getenv("FUSEWIRE_LONG"), 64)
	for i := range machines {
		m := &machines[i]
		if m.long && long == 0 {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			ops := max(700, int(2000*long))
			out := m.boot(t, ops, fmt.Sprintf("minor=%d seed=%d ops=%d modes=%s", m.minor, seed, ops, strings.Join(m.modes, ",")))
			for _, want := range m.wants() {
				if !strings.Contains(out, "PASS "+want+"\n") {
					t.Errorf("%s has not passed", want)
				}
			}
			if strings.Contains(out, "FAIL ") || !strings.Contains(out, "\nDONE\n") {
				t.Errorf("seed %d: failed or ended early", seed)
			}
			if t.Failed() || testing.Verbose() {
				t.Logf("the console:\n%s", out)
			}
		})
	}
}

// wants lists what the guest has to say that it passed, so that nothing is left
// out unnoticed.
func (m *machine) wants() []string {
	w := []string{"init", "kernel"}
	for _, mode := range m.modes {
		if mode == "cost" {
			w = append(w, mode)
			continue
		}
		also := ""
		switch mode {
		case "plain":
			also = "names"
		case "fallback":
			also = "said"
		case "uring":
			also = "names used many seen"
		case "zero":
			also = "names used many truncated unseen full bits killed"
		case "zero-direct", "zero-writeback":
			also = "used many truncated unseen full bits"
		}
		for _, check := range strings.Fields("data fsx unmount " + also) {
			w = append(w, mode+"/"+check)
		}
	}
	return w
}

// boot runs the guest and returns what it printed.
func (m *machine) boot(t *testing.T, ops int, args string) string {
	t.Helper()
	start := time.Now()
	k, err := m.kernel()
	if err != nil {
		t.Fatal(err)
	}
	qemu, err := m.qemuPath()
	if err != nil {
		t.Fatal(err)
	}
	got := time.Since(start)
	initrd := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(initrd, m.initramfs(t, k, args), 0o644); err != nil {
		t.Fatal(err)
	}
	built := time.Since(start) - got
	argv := append(slices.Clone(m.args), "-accel", "tcg", "-nodefaults", "-no-reboot", "-display", "none",
		"-m", "512", "-smp", "1", "-kernel", k.image, "-initrd", initrd,
		"-append", "console="+m.tty+" panic=-1 quiet nowatchdog "+m.extra)
	end := time.Now().Add(bootWithin(ops))
	if d, ok := t.Deadline(); ok && d.Add(-10*time.Second).Before(end) {
		end = d.Add(-10 * time.Second) // the console is wanted all the same
	}
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	// Pdeathsig follows the thread that forked.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, qemu, argv...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	cmd.WaitDelay = time.Second
	var raw bytes.Buffer
	cmd.Stdout, cmd.Stderr = &raw, &raw
	err = cmd.Run()
	out := strings.ReplaceAll(raw.String(), "\r\n", "\n")
	if err != nil {
		t.Errorf("%s %s: %v", qemu, strings.Join(argv, " "), err)
	}
	t.Logf("%s: found in %.1fs, built in %.1fs, ran for %.1fs, which took %.1fs of a processor", k.pkg, got.Seconds(), built.Seconds(),
		(time.Since(start) - got - built).Seconds(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	for _, l := range figures.FindAllString(out, -1) {
		t.Log(l)
	}
	return out
}

// figures are lines that are worth a look also when all is well.
var figures = regexp.MustCompile(`(?m)^NOTE .*$`)

// initramfs is what the guest's memory starts with.
func (m *machine) initramfs(t *testing.T, k *kernel, args string) []byte {
	t.Helper()
	guest, passthrough := build(t, m.goarch)
	var a archive
	for _, d := range []string{"dev", "proc", "sys", "src", "mnt"} {
		a.add(d, cpioDir, nil)
	}
	a.add("args", cpioFile, []byte(args))
	files := map[string]string{"init": guest, "passthrough": passthrough}
	for _, mod := range k.modules {
		files[filepath.Base(mod)] = mod
	}
	for name, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		a.add(name, cpioFile, b)
	}
	return a.bytes()
}

var builds struct {
	sync.Mutex
	dirs map[string]string
}

// build compiles the programs for goarch, once.
func build(t *testing.T, goarch string) (guest, passthrough string) {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	dir := builds.dirs[goarch]
	if dir == "" {
		dir = filepath.Join(scratch, goarch)
		for name, pkg := range map[string]string{"guest": "./guest", "passthrough": "../../cmd/passthrough"} {
			cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w -funcalign=1", "-o", filepath.Join(dir, name), pkg)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS=linux", "GOARCH="+goarch)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
			}
		}
		if builds.dirs == nil {
			builds.dirs = map[string]string{}
		}
		builds.dirs[goarch] = dir
	}
	return filepath.Join(dir, "guest"), filepath.Join(dir, "passthrough")
}

// scratch is this run's directory.
var scratch string

// TestMain makes scratch, and opens every file that the programs are built from:
// `go test` remembers a result until a file that the test opened changes.
func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "fusewire-vm-"); err != nil {
		panic(err)
	}
	err = filepath.WalkDir("../..", func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			_, err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}
