package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kernel is what was found in a package.
type kernel struct {
	pkg     string // its name
	image   string // what qemu boots
	modules []string
}

// cacheDir is where kernels are kept.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil { // no $HOME
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("fusewire-cache-%d", os.Getuid()))
	}
	dir = filepath.Join(dir, "fusewire", "vm")
	return dir, os.MkdirAll(dir, 0o755)
}

// kernel returns the kernel of m, from the cache or from the archive. Two machines
// that differ in how they are run share it.
func (m *machine) kernel() (*kernel, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, strings.TrimSuffix(m.name, "-counted"))
	if k, err := find(dir); err == nil {
		return k, nil
	}
	for try := range 4 {
		time.Sleep(time.Duration(5*try*try) * time.Second)
		if err = m.fetch(dir); err == nil {
			return find(dir)
		}
	}
	return nil, fmt.Errorf("no kernel for %s: %w", m.name, err)
}

// find looks into an unpacked package. Its name is the name of the only
// directory in dir.
func find(dir string) (*kernel, error) {
	e, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(e) != 1 {
		return nil, fmt.Errorf("%s: not one directory", dir)
	}
	k := &kernel{pkg: e[0].Name()}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case !d.Type().IsRegular():
		case strings.HasPrefix(name, "vmlinu"), name == "image":
			k.image = path
		case name == "fuse.ko":
			k.modules = append(k.modules, path)
		case strings.HasPrefix(name, "fuse.ko."):
			return fmt.Errorf("%s: a compressed module", path)
		}
		return nil
	})
	if err == nil && k.image == "" {
		err = fmt.Errorf("%s: no kernel in %s", dir, k.pkg)
	}
	return k, err
}

// fetch puts the newest of m's packages, unpacked, into dir.
func (m *machine) fetch(dir string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), m.name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	a := apt{dir: tmp}
	if err := a.init(m.suite, m.arch); err != nil {
		return err
	}
	if _, err := a.run("apt-get", "update", "-o", "APT::Update::Error-Mode=any"); err != nil {
		return err
	}
	pkg, err := a.newest(m.pkg)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", m.arch, m.suite, err)
	}
	if _, err := a.run("apt-get", "download", pkg); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("downloaded %v, %w", debs, err)
	}
	if _, err := a.run("dpkg", "-x", debs[0], filepath.Join("new", pkg)); err != nil {
		return err
	}
	unpacked := filepath.Join(tmp, "new")
	if _, err := find(unpacked); err != nil {
		return err
	}
	err = os.Rename(unpacked, dir)
	if errors.Is(err, fs.ErrExist) { // another test was faster, or what is there is no good
		if _, bad := find(dir); bad == nil {
			return nil
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		err = os.Rename(unpacked, dir)
	}
	return err
}

// apt runs apt with lists and caches of its own below dir.
type apt struct {
	dir  string
	conf string
}

func (a *apt) init(suite, arch string) error {
	for _, d := range []string{"lists/partial", "cache/archives/partial", "new"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o755); err != nil {
			return err
		}
	}
	keyring := ""
	if k := "/usr/share/keyrings/debian-archive-keyring.gpg"; exists(k) {
		keyring = "[signed-by=" + k + "] "
	}
	list := fmt.Sprintf("deb %s%s %s main\n", keyring, mirror(), suite)
	// No recursion of ours into what the machine is configured for but for proxies and the like.
	conf := fmt.Sprintf(`
Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "%[1]s/lists";
Dir::State::status "%[1]s/status";
Dir::Cache "%[1]s/cache";
APT::Architecture "%[2]s";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
#clear APT::Architectures;
APT::Architectures { "%[2]s"; };
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
`, a.dir, arch)
	a.conf = filepath.Join(a.dir, "apt.conf")
	for name, text := range map[string]string{"sources.list": list, "apt.conf": conf, "status": ""} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mirror is where the machine's own sources are Debian's, or else Debian's own.
func mirror() string {
	out, _ := exec.Command("apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(SITE)", "Identifier: Packages").Output()
	for l := range strings.Lines(string(out)) {
		if site, ok := strings.CutPrefix(strings.TrimSpace(l), "Debian Debian "); ok {
			return site
		}
	}
	return "http://deb.debian.org/debian"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (a *apt) run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+a.conf, "LC_ALL=C")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.String(), nil
}

// newest returns the package whose name matches re, with the highest version.
func (a *apt) newest(re string) (string, error) {
	out, err := a.run("apt-cache", "search", "--names-only", re)
	if err != nil {
		return "", err
	}
	match := regexp.MustCompile(re)
	var best string
	var version []int
	for l := range strings.Lines(out) {
		name, _, _ := strings.Cut(l, " ")
		if g := match.FindStringSubmatch(name); g != nil {
			if v := numbers(g[1]); best == "" || slices.Compare(v, version) > 0 {
				best, version = name, v
			}
		}
	}
	if best == "" {
		return "", errors.New("no package matches " + re)
	}
	return best, nil
}

var digits = regexp.MustCompile(`[0-9]+`)

// numbers are the numbers in s: the name of a kernel's package has nothing else
// to order it by.
func numbers(s string) []int {
	var v []int
	for _, d := range digits.FindAllString(s, -1) {
		n, _ := strconv.Atoi(d)
		v = append(v, n)
	}
	return v
}

// qemuPath finds the emulator.
func (m *machine) qemuPath() (string, error) {
	p, err := exec.LookPath(m.qemu)
	if err != nil {
		return "", fmt.Errorf("%w: apt-get install %s", err, m.qemuIn)
	}
	return p, nil
}
