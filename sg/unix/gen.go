//go:build ignore

// Gen writes the constants of this package: those of golang.org/x/sys/unix that
// the module uses by the name unix.X.
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/constant"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const self = "github.com/fusewire/fusewire/sg/unix"

// arches are what Go knows of Linux.
var arches = []string{"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle",
	"ppc64", "ppc64le", "riscv64", "s390x"}

func main() {
	log.SetFlags(0)
	names := used("../..")
	for n := range declared() {
		delete(names, n)
	}
	xsys, std := map[string]*types.Scope{}, map[string]*types.Scope{}
	for _, arch := range arches {
		l := &loader{arch: arch, fset: token.NewFileSet(), done: map[string]*types.Package{"unsafe": types.Unsafe}}
		xsys[arch], std[arch] = l.load("golang.org/x/sys/unix"), l.load("syscall")
	}
	failed := false
	var all []string
	each := map[string][]string{}
	for _, name := range sorted(names) {
		has := 0
		same, inStd := true, true
		first := ""
		for _, arch := range arches {
			text, ok := value(xsys[arch], name)
			if !ok {
				continue
			}
			if has++; has == 1 {
				first = text
			}
			same = same && text == first
			s, ok := value(std[arch], name)
			inStd = inStd && ok && s == text
		}
		switch {
		case has == 0:
			log.Printf("%s: golang.org/x/sys/unix has no such constant (used in %s)", name, names[name])
			failed = true
		case has == len(arches) && inStd:
			all = append(all, name+" = syscall."+name)
		case has == len(arches) && same:
			all = append(all, name+" = "+first)
		default:
			for _, arch := range arches {
				if text, ok := value(xsys[arch], name); ok {
					each[arch] = append(each[arch], name+" = "+text)
				}
			}
		}
	}
	write("const_linux.go", all)
	for _, arch := range arches {
		write("const_linux_"+arch+".go", each[arch])
	}
	if failed {
		os.Exit(1)
	}
}

func sorted(m map[string]string) []string {
	var s []string
	for n := range m {
		s = append(s, n)
	}
	slices.Sort(s)
	return s
}

// used returns the names X of all unix.X of the module that may be constants, with
// the place of one use each. The package's own functions use constants without
// the package's name.
func used(root string) map[string]string {
	names := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() && strings.HasPrefix(e.Name(), ".") && e.Name() != "." && e.Name() != ".." {
			return cmp(err, fs.SkipDir)
		}
		if e.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		alias := ""
		for _, i := range f.Imports {
			if p, _ := strconv.Unquote(i.Path.Value); p == self {
				alias = "unix"
				if i.Name != nil {
					alias = i.Name.Name
				}
			}
		}
		if alias == "" {
			return nil
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == alias {
					names[s.Sel.Name] = fset.Position(s.Pos()).String()
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range own() {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				return false
			case *ast.Ident:
				if constName.MatchString(n.Name) {
					names[n.Name] = "this package"
				}
			}
			return true
		})
	}
	return names
}

// constName are the constants that the package itself uses.
var constName = regexp.MustCompile(`^(SYS_|F_|O_|SIG)[A-Z0-9_]+$|^E[A-Z0-9]+$`)

func cmp(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// own returns the files of this package that are not generated.
func own() (files []*ast.File) {
	paths, _ := filepath.Glob("*_linux*.go")
	for _, path := range paths {
		if strings.HasPrefix(path, "const_") || strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			log.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// declared returns what those files declare.
func declared() map[string]bool {
	names := map[string]bool{}
	for _, f := range own() {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					names[d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						names[s.Name.Name] = true
					case *ast.ValueSpec:
						for _, n := range s.Names {
							names[n.Name] = true
						}
					}
				}
			}
		}
	}
	return names
}

// value returns a constant as it is to be written.
func value(s *types.Scope, name string) (string, bool) {
	c, ok := s.Lookup(name).(*types.Const)
	if !ok {
		return "", false
	}
	text := c.Val().ExactString()
	if i, ok := constant.Uint64Val(c.Val()); ok && c.Val().Kind() == constant.Int && i > 9 {
		text = "0x" + strconv.FormatUint(i, 16)
	}
	switch t := types.Unalias(c.Type()).(type) {
	case *types.Named: // Errno, Signal
		text = "syscall." + t.Obj().Name() + "(" + text + ")"
	case *types.Basic:
		if t.Info()&types.IsUntyped == 0 {
			text = t.Name() + "(" + text + ")"
		}
	}
	return text, true
}

func write(path string, lines []string) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "// Code generated by gen.go; DO NOT EDIT.\n\npackage unix\n")
	text := strings.Join(lines, "\n")
	if strings.Contains(text, "syscall.") {
		fmt.Fprintf(&b, "\nimport \"syscall\"\n")
	}
	if text != "" {
		fmt.Fprintf(&b, "\nconst (\n%s\n)\n", text)
	}
	src, err := format.Source(b.Bytes())
	if err == nil {
		err = os.WriteFile(path, src, 0o666)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// loader type-checks packages as they are for one architecture, without the
// bodies of functions, and without what they import but for package syscall: no
// constant comes from elsewhere.
type loader struct {
	arch string
	fset *token.FileSet
	done map[string]*types.Package
}

func (l *loader) load(path string) *types.Scope {
	p, err := l.Import(path)
	if err != nil {
		log.Fatal(err)
	}
	return p.Scope()
}

func (l *loader) Import(path string) (*types.Package, error) {
	if p := l.done[path]; p != nil {
		return p, nil
	}
	if path != "syscall" && filepath.Base(path) != "unix" {
		p := types.NewPackage(path, filepath.Base(path))
		p.MarkComplete()
		l.done[path] = p
		return p, nil
	}
	dir, err := build.Import(path, ".", build.FindOnly)
	if err != nil {
		return nil, err
	}
	ctx := build.Default
	ctx.GOOS, ctx.GOARCH, ctx.CgoEnabled = "linux", l.arch, false
	ctx.ToolTags = nil // of the machine this runs on
	if dir, err = ctx.ImportDir(dir.Dir, 0); err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, name := range dir.GoFiles {
		f, err := parser.ParseFile(l.fset, filepath.Join(dir.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	conf := types.Config{Importer: l, IgnoreFuncBodies: true, Error: func(error) {}, Sizes: types.SizesFor("gc", l.arch)}
	p, _ := conf.Check(path, l.fset, files, nil)
	l.done[path] = p
	return p, nil
}
