package conformance

import (
	"regexp"
	"strings"
)

// permitted are the differences that may be, each with its reason. A rule
// that meets no difference in a full run fails the test: none outlives its
// reason.
var permitted = []rule{
	{
		cases: `/(dir|full|dirlink)/|^data/seek/`, want: `seek\(.*\)=(\d+|EINVAL)$`, got: `seek\(.*\)=(\d+|EINVAL)$`,
		why: "lseek in FUSE directories, and far beyond the end of files, is the kernel's own (generic_file_llseek: size and limit of FUSE, not of ext4)",
	},
	{
		cases: `^fallocate/(collapse|insert|unshare|unknown|punch-alone)/`, want: `fallocate\(.*\)=`, got: `=ENOTSUP$`,
		why: "fs/fuse/file.c: fuse_file_fallocate refuses all modes but KEEP_SIZE, PUNCH_HOLE and ZERO_RANGE before any request is made",
	},
	{
		cases: `^fallocate/(collapse|insert|unshare)/`, want: `n reg|seek\(`, got: `n reg|seek\(`,
		why: "what the refused call would have done to the file",
	},
	{
		cases: `^open/`, want: `reg .* a=new m=new`, got: `reg .* a=same m=new`,
		why: "a cached read at or behind the end of a file makes no request, so the source's atime does not move", modes: "requests always writeback",
	},
	{
		cases: `^(data|open|use)/`, want: ` fifo .*m=new`, got: ` fifo .*m=same`,
		why: "the data of a FIFO stays in the kernel above, and so do the times it would change",
	},
	{
		cases: `^[lf]?chown/(root|member|other)/.*-1--1$`, want: `.`, got: `.`,
		why: "chown(-1,-1) reaches the server as a SETATTR of nothing, like the announcement of a write: it must not fail, and does what it does to the set-id bits and ctime for the owner only",
	},
	{
		cases: `^setid/.*/mmap-.*cap-true$`, want: `security\.capability`, got: `"Mext"$`,
		why: "pages written through a mapping reach the source as writes, and any write drops file capabilities",
	},
	{
		cases: `^setid/root/two-writes-`, want: `6777`, got: `0777`,
		why: "data that is passed through is written without CAP_FSETID, or a set-id bit that the kernel does not know of would survive other users' writes: it does not survive root's either if the file got it while it was open", modes: "auto",
	},
	{
		cases: `^setid/member/.*-2767-group-1001-`, want: `2767`, got: `0767`,
		why: "requests do not carry supplementary groups, for the sake of which sgid without group execution would stay",
	},
	{
		cases: `copy`, want: `reg .* a=new m=same`, got: `reg .* a=same m=same`,
		why: "the kernel does not expect copy_file_range to change its source's atime and goes on showing what it has cached", modes: "always",
	},
	{
		cases: `.`, want: `(reg|lnk|dir) .* a=same `, got: `(reg|lnk|dir) .* a=new `,
		why: "a read-only mount reads a source that is not read-only: its atime moves as with any reader", modes: "ro",
	},
	{
		cases: `.`, want: `^behind .* reg .* c=same`, got: ` c=new`, only: ` c=\w+`,
		why: "the kernel owns mtime and ctime and sends them when it likes (fs/fuse/inode.c: fuse_write_inode), those of the fixture's writes too, and setting them changes the source's ctime", modes: "writeback",
	},
	{
		cases: `.`, want: `^view .* reg .* a=same`, got: ` a=new`, only: ` a=\w+`,
		why: "the rest of a page that is written in part is read first, as any reader would", modes: "writeback",
	},
	{
		cases: `^(setid/.*/truncate-same-|truncate/.*/(file|link)-4$)`, want: `^view .* reg .* m=new`, got: ` m=same`, only: ` [mc]=\w+`,
		why: "fs/fuse/dir.c: fuse_do_setattr changes the times, which the kernel owns, with a size that is another one only", modes: "writeback",
	},
	{
		cases: `^fallocate/.*/17592186044416-`, want: ` reg .* m=same c=same`, got: ` m=new c=new`, only: ` [mc]=\w+`,
		why: "fs/fuse/file.c: fuse_file_fallocate changes the times before it asks, and the answer is EFBIG", modes: "writeback",
	},
	{
		cases: `^data/write-far/`, want: `.`, got: `.`,
		why: "what the source has no room for in a file is refused when it is written back", modes: "writeback",
	},
	{
		cases: `^[lf]?chown/owner/.*-1--1$`, want: ` reg `, got: ` reg `,
		why: "chown(-1,-1) reaches the server as a SETATTR of the ctime, like one that writes the kernel's back", modes: "writeback",
	},
}

// rule is one permitted difference: regular expressions for the name of the
// case and for ext4's and the mount's line, and if it is about parts of lines, for
// those; the rest must be equal then.
type rule struct {
	cases, want, got string
	only             string
	modes            string // those it is confined to; "" is all
	why              string
}

// in reports whether the rule holds in a mode.
func (r *rule) in(mode string) bool {
	return mode != "ext4" && (r.modes == "" || strings.Contains(r.modes, mode))
}

type matcher struct {
	rule
	cases, want, got, only *regexp.Regexp
	used                   bool
}

// matchers are the rules that hold in a mode.
func matchers(mode string) (ms []*matcher) {
	for _, r := range permitted {
		if r.in(mode) {
			ms = append(ms, &matcher{r, regexp.MustCompile(r.cases), regexp.MustCompile(r.want), regexp.MustCompile(r.got), regexp.MustCompile(r.only), false})
		}
	}
	return ms
}

// allowed is whether a rule covers the difference.
func allowed(ms []*matcher, name, want, got string) bool {
	for _, m := range ms {
		if m.cases.MatchString(name) && m.want.MatchString(want) && m.got.MatchString(got) &&
			(m.rule.only == "" || m.only.ReplaceAllString(want, "") == m.only.ReplaceAllString(got, "")) {
			m.used = true
			return true
		}
	}
	return false
}
