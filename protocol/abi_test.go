package protocol

import (
	"encoding/json"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// source is this package as its own files say, so that nothing in the kernel's
// description can be missing here without a test failing.
type source struct {
	pkg    *types.Package
	consts map[string]constant.Value // by folded name
	about  map[string]string         // comment at each constant, by folded name
	cname  map[string]string         // C struct -> Go struct, from the comments
	files  []*ast.File
}

// fold makes names of C and Go comparable.
func fold(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }

func load(t *testing.T) *source {
	t.Helper()
	fset := token.NewFileSet()
	pkgs, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	s := &source{consts: map[string]constant.Value{}, about: map[string]string{}, cname: map[string]string{}}
	for _, e := range pkgs {
		// Constants are compared for the generic ioctl encoding on every machine.
		if n := e.Name(); !strings.HasSuffix(n, ".go") || strings.HasSuffix(n, "_test.go") || n == "ioctl_bits_other.go" {
			continue
		}
		f, err := parser.ParseFile(fset, e.Name(), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, f)
	}
	conf := types.Config{
		Error: func(error) {}, // imports are not loaded: no constant or struct needs one
		Sizes: types.SizesFor("gc", runtime.GOARCH),
	}
	s.pkg, _ = conf.Check("protocol", fset, s.files, nil)
	for _, n := range s.pkg.Scope().Names() {
		if c, ok := s.pkg.Scope().Lookup(n).(*types.Const); ok {
			s.consts[fold(n)] = c.Val()
		}
	}
	is := regexp.MustCompile(`^(\w+) is struct (\w+)`)
	for _, f := range s.files {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			if m := is.FindStringSubmatch(g.Doc.Text()); m != nil {
				s.cname[m[2]] = m[1]
			}
			for _, sp := range g.Specs {
				if v, ok := sp.(*ast.ValueSpec); ok {
					s.about[fold(v.Names[0].Name)] = v.Doc.Text() + v.Comment.Text()
				}
			}
		}
	}
	return s
}

type abiValue struct {
	Name  string
	Value any
	Bit   *int
	Minor int
}

type abiField struct {
	Name, Type   string
	Offset, Size int64
	InUnion      bool `json:"in_union"`
	Flexible     bool
}

type abiStruct struct {
	Size, Align int64
	Fields      []abiField
}

func number(t *testing.T, v any) uint64 {
	t.Helper()
	switch v := v.(type) {
	case json.Number:
		n, err := strconv.ParseUint(v.String(), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	case string:
		n, err := strconv.ParseUint(v, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Fatalf("number %v", v)
	return 0
}

// TestABI compares every item of the kernel's description with this package.
// A section that it does not know is an error.
func TestABI(t *testing.T) {
	s := load(t)
	f, err := os.ReadFile("../tests/testdata/fuse-abi.json")
	if err != nil {
		t.Fatal(err)
	}
	var sections map[string]json.RawMessage
	if err := json.Unmarshal(f, &sections); err != nil {
		t.Fatal(err)
	}
	decode := func(name string, v any) {
		t.Helper()
		d := json.NewDecoder(strings.NewReader(string(sections[name])))
		d.UseNumber()
		if err := d.Decode(v); err != nil {
			t.Fatal(name, err)
		}
	}
	n := 0
	equal := func(cname, goname string, want uint64) {
		t.Helper()
		n++
		c, ok := s.consts[fold(goname)]
		if !ok {
			t.Errorf("%s: no constant %s", cname, goname)
			return
		}
		if got, exact := constant.Uint64Val(c); !exact || got != want {
			t.Errorf("%s: %s is %v, want %d", cname, goname, c, want)
		}
	}
	plain := func(c string) string { return strings.TrimPrefix(strings.TrimPrefix(c, "FUSE_"), "fuse_") }
	for name := range sections {
		var m map[string]any
		var l []abiValue
		switch name {
		case "source", "diff_7_45_to_7_46", "btf_check": // where it is from
		case "protocol":
			decode(name, &m)
			equal("major", "KernelVersion", number(t, m["major"]))
			equal("minor", "KernelMinorVersion", number(t, m["minor"]))
			equal("root_id", "RootID", number(t, m["root_id"]))
		case "opcodes":
			decode(name, &m)
			for c, v := range m {
				equal(c, "Op"+plain(c), number(t, v))
				if got := Opcode(number(t, v)).String(); got != plain(c) {
					t.Errorf("%s is printed as %s", c, got)
				}
			}
		case "notify_codes":
			decode(name, &m)
			for c, v := range m {
				equal(c, plain(c), number(t, v))
				if got := NotifyCode(number(t, v)).String(); "NOTIFY_"+got != plain(c) {
					t.Errorf("%s is printed as %s", c, got)
				}
			}
		case "ext_types", "uring_cmds", "kernel_private_constants":
			decode(name, &m)
			for c, v := range m {
				equal(c, plain(c), number(t, v))
			}
		case "init_flags":
			decode(name, &l)
			for _, v := range l {
				g := "Init" + plain(v.Name)
				if strings.HasPrefix(plain(v.Name), "INIT_") {
					g = plain(v.Name)
				}
				equal(v.Name, g, number(t, v.Value))
				if got := InitFlags(number(t, v.Value)).String(); got != plain(v.Name) {
					t.Errorf("%s is printed as %s", v.Name, got)
				}
				if about := s.about[fold(g)]; !strings.HasPrefix(about, "7."+strconv.Itoa(v.Minor)+":") {
					t.Errorf("%s is of 7.%d, the comment is %q", v.Name, v.Minor, about)
				}
			}
		case "init_flag_aliases":
			decode(name, &m)
			for c, v := range m {
				of, _ := constant.Uint64Val(s.consts[fold("Init"+plain(v.(string)))])
				equal(c, "Init"+plain(c), of)
			}
		case "fopen_flags", "fattr_flags":
			set := map[string]FlagSet{"fopen_flags": FopenFlagNames, "fattr_flags": FattrFlagNames}[name]
			decode(name, &l)
			for _, v := range l {
				equal(v.Name, v.Name, number(t, v.Value))
				if _, want, _ := strings.Cut(v.Name, "_"); string(set.AppendText(nil, number(t, v.Value))) != want {
					t.Errorf("%s is not printed", v.Name)
				}
			}
		case "dev_ioctls", "compat_sizes", "other_constants":
			decode(name, &l)
			for _, v := range l {
				equal(v.Name, plain(v.Name), number(t, v.Value))
			}
		case "structs":
			var m map[string]abiStruct
			decode(name, &m)
			for c, want := range m {
				s.compare(t, c, &want)
				n += len(want.Fields)
			}
			for c := range s.cname {
				if _, ok := m[c]; !ok && c != "io_uring_sqe" {
					t.Errorf("%s is not in the kernel's description", c)
				}
			}
		case "io_uring_sqe128":
			var want struct {
				abiStruct
				Opcode map[string]any
			}
			decode(name, &want)
			for c, v := range want.Opcode {
				equal(c, c, number(t, v))
			}
			s.fields(t, "UringSqe128", &want.abiStruct)
		default:
			t.Errorf("section %q is not compared", name)
		}
	}
	if n < 500 {
		t.Errorf("only %d items compared", n)
	}
	t.Logf("%d items", n)
}

// compare checks a C struct against its Go struct and its description.
func (s *source) compare(t *testing.T, c string, want *abiStruct) {
	g := s.cname[c]
	if g == "" {
		t.Errorf("no struct says that it is %s", c)
		return
	}
	s.fields(t, g, want)
	k := kNone
	for i := kNone + 1; i < kindCount; i++ {
		if v, ok := s.consts[fold("k"+g)]; ok {
			if x, _ := constant.Uint64Val(v); kind(x) == i {
				k = i
			}
		}
	}
	if k == kNone {
		t.Errorf("%s has no kind", g)
		return
	}
	if int64(structSize[k]) != want.Size {
		t.Errorf("structSize[k%s] = %d, want %d", g, structSize[k], want.Size)
	}
	// The description: same fields at the same offsets, up to the size.
	at := int64(0)
	d := describe[k]
	for _, f := range want.Fields {
		if f.Flexible || f.Name == "bufpool" || f.Name == "ent_zero_copy_buf_index" {
			continue
		}
		if d == "" {
			t.Errorf("%s is described without %s", g, f.Name)
			return
		}
		var df field
		df, d = nextField(d)
		w := int64(df.width())
		if df.reserved() {
			w *= int64(df.count)
		}
		_, name, union := strings.Cut(f.Name, ".")
		if !union {
			name = f.Name
		}
		if df.name != strings.Trim(name, "_") || at != f.Offset || w != f.Size {
			t.Errorf("%s: described %s at %d of %d, want %s at %d of %d", g, df.name, at, w, f.Name, f.Offset, f.Size)
		}
		signed := df.typ == 'I' || df.typ == 'i'
		if signed != strings.HasPrefix(f.Type, "int") && !df.reserved() && !strings.Contains(f.Name, "time") {
			t.Errorf("%s.%s: sign", g, f.Name)
		}
		at += w
	}
	if d != "" || at != want.Size {
		t.Errorf("%s: description ends at %d of %d with %q left", g, at, want.Size, d)
	}
}

// fields compares a Go struct's layout, in both directions.
func (s *source) fields(t *testing.T, g string, want *abiStruct) {
	o := s.pkg.Scope().Lookup(g)
	if o == nil {
		t.Errorf("no type %s", g)
		return
	}
	st := o.Type().Underlying().(*types.Struct)
	sizes := types.SizesFor("gc", runtime.GOARCH)
	if got := sizes.Sizeof(st); got != want.Size {
		t.Errorf("%s has %d bytes, want %d", g, got, want.Size)
	}
	var vars []*types.Var
	for i := range st.NumFields() {
		vars = append(vars, st.Field(i))
	}
	offsets := sizes.Offsetsof(vars)
	used := map[string]bool{}
	for _, f := range want.Fields {
		if f.Flexible { // the bytes behind the struct
			continue
		}
		if f.Name == "ent_zero_copy_buf_index" {
			if f.Offset != 24 || f.Size != 2 || !strings.Contains(methods(s, g), "EntZeroCopyBufIndex") {
				t.Errorf("%s.%s", g, f.Name)
			}
			continue
		}
		outer, inner, nested := strings.Cut(f.Name, ".")
		found := false
		for i, v := range vars {
			if fold(v.Name()) != fold(outer) {
				continue
			}
			found = true
			used[v.Name()] = true
			off, typ := offsets[i], v.Type()
			if nested {
				in := typ.Underlying().(*types.Struct)
				var iv []*types.Var
				for k := range in.NumFields() {
					iv = append(iv, in.Field(k))
				}
				for k, x := range iv {
					if fold(x.Name()) == fold(inner) {
						off, typ = off+sizes.Offsetsof(iv)[k], x.Type()
					}
				}
			}
			if off != f.Offset || sizes.Sizeof(typ) != f.Size {
				t.Errorf("%s.%s at %d of %d bytes, want %d of %d", g, v.Name(), off, sizes.Sizeof(typ), f.Offset, f.Size)
			}
			if b, ok := typ.Underlying().(*types.Basic); ok && f.Type != "" {
				if unsigned := b.Info()&types.IsUnsigned != 0; unsigned != strings.HasPrefix(f.Type, "u") {
					t.Errorf("%s.%s is %s, want %s", g, v.Name(), b, f.Type)
				}
			}
		}
		if !found {
			t.Errorf("%s has no field %s", g, f.Name)
		}
	}
	for _, v := range vars {
		if !used[v.Name()] {
			t.Errorf("%s.%s is not the kernel's", g, v.Name())
		}
	}
}

// methods lists the methods of a type.
func methods(s *source, g string) string {
	var b strings.Builder
	n := s.pkg.Scope().Lookup(g).Type().(*types.Named)
	for i := range n.NumMethods() {
		b.WriteString(n.Method(i).Name() + " ")
	}
	return b.String()
}

// TestDocumented finds exported names without a comment.
func TestDocumented(t *testing.T) {
	for _, f := range load(t).files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc.Text() == "" {
					t.Error(d.Name.Name)
				}
			case *ast.GenDecl:
				for _, sp := range d.Specs {
					switch sp := sp.(type) {
					case *ast.TypeSpec:
						if sp.Name.IsExported() && d.Doc.Text() == "" {
							t.Error(sp.Name.Name)
						}
					case *ast.ValueSpec:
						if sp.Names[0].IsExported() && d.Doc.Text()+sp.Doc.Text()+sp.Comment.Text() == "" {
							t.Error(sp.Names[0].Name)
						}
					}
				}
			}
		}
	}
}

// TestIoctlNumbers checks the numbers of this architecture: facts of the
// kernel's headers for either encoding.
func TestIoctlNumbers(t *testing.T) {
	got := [...]uint64{DevIocClone, DevIocBackingOpen, DevIocBackingClose, DevIocSyncInit}
	want := [...]uint64{0x8004e500, 0x4010e501, 0x4004e502, 0xe503}
	switch runtime.GOARCH {
	case "mips", "mipsle", "mips64", "mips64le", "ppc64", "ppc64le":
		want = [...]uint64{0x4004e500, 0x8010e501, 0x8004e502, 0x2000e503}
	}
	if got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
}
