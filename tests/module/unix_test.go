package module

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnix compares sg/unix with golang.org/x/sys/unix, for every architecture:
// the values of constants, the parameters and results of functions.
func TestUnix(t *testing.T) {
	for _, arch := range arches {
		l := &loader{arch: arch, fset: token.NewFileSet(), done: map[string]*types.Package{"unsafe": types.Unsafe}}
		their, err := l.Import("golang.org/x/sys/unix")
		if err != nil {
			t.Fatal(arch, err)
		}
		our, err := l.Import(path + "/sg/unix")
		if err != nil {
			t.Fatal(arch, err)
		}
		consts := 0
		for _, name := range our.Scope().Names() {
			o, x := our.Scope().Lookup(name), their.Scope().Lookup(name)
			if !o.Exported() {
				continue
			}
			if x == nil && name == "Spawn" { // our own: a child of vfork(2)
				continue
			}
			if x == nil {
				t.Errorf("%s: golang.org/x/sys/unix has no %s", arch, name)
				continue
			}
			switch o := o.(type) {
			case *types.Const:
				consts++
				x, ok := x.(*types.Const)
				if !ok || o.Val().ExactString() != x.Val().ExactString() || !types.Identical(o.Type(), x.Type()) {
					t.Errorf("%s: %v is %v there", arch, o, x)
				}
			case *types.Func:
				// Splice returns int64 on all, not on the 64-bit ones only.
				if got, want := signature(o), signature(x); got != want && name != "Splice" {
					t.Errorf("%s: %s%s is %s there", arch, name, got, want)
				}
			}
		}
		if consts < 150 {
			t.Errorf("%s: only %d constants", arch, consts)
		}
	}
}

// signature is a function's type without the names of parameters and packages.
func signature(f types.Object) string {
	s, ok := f.Type().(*types.Signature)
	if !ok {
		return f.String()
	}
	list := func(t *types.Tuple) string {
		var b strings.Builder
		for v := range t.Variables() {
			b.WriteString(types.TypeString(v.Type(), func(*types.Package) string { return "" }) + ",")
		}
		return b.String()
	}
	return "(" + list(s.Params()) + ") (" + list(s.Results()) + ")"
}

// loader type-checks packages as they are for one architecture of Linux, without
// the bodies of functions, and without what they import but for package syscall:
// no constant comes from elsewhere.
type loader struct {
	arch string
	fset *token.FileSet
	done map[string]*types.Package
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
	ctx.GOOS, ctx.GOARCH, ctx.CgoEnabled, ctx.ToolTags = "linux", l.arch, false, nil
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
