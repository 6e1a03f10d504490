package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// BinaryVar names the environment variable that overrides what Binary returns.
const BinaryVar = "FUSEWIRE_PASSTHROUGH"

var build struct {
	once sync.Once
	path string
	err  error
}

// Binary returns the path of cmd/passthrough, built once, as it is released:
// static and stripped. Every user may execute it. The variable
// FUSEWIRE_PASSTHROUGH names another binary to test.
func Binary(t testing.TB) string {
	t.Helper()
	build.once.Do(func() { build.path, build.err = buildBinary() })
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.path
}

func buildBinary() (string, error) {
	if p := os.Getenv(BinaryVar); p != "" {
		return filepath.Abs(p)
	}
	path := filepath.Join(workDir, "passthrough")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w -funcalign=1",
		"-o", path, "github.com/fusewire/fusewire/cmd/passthrough")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building cmd/passthrough: %w\n%s", err, out)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		return "", err
	}
	// For test binaries that this one starts.
	return path, os.Setenv(BinaryVar, path)
}
