package conntest

import "github.com/fusewire/fusewire/protocol"

// extension is fs/fuse/dir.c: get_create_ext, the area behind what makes
// something in dir: the security context, there even if it is empty, and the
// directory's group if that is a supplementary one of the caller's.
func (c *Client) extension(dir *inode) []byte {
	var b []byte
	if c.k.has(protocol.InitSecurityCtx) {
		b = protocol.AppendSecurity(b, []byte(c.LabelName), c.Label)
	}
	if g := dir.attr.Gid; c.k.has(protocol.InitCreateSuppGroup) && g != c.Gid && g != ^uint32(0) && c.member(g) {
		b = protocol.AppendSuppGroup(b, g)
	}
	return b
}

// member is in_group_p.
func (c *Client) member(gid uint32) bool {
	if gid == c.Gid {
		return true
	}
	for _, g := range c.Groups {
		if g == gid {
			return true
		}
	}
	return false
}

// killSuid is FUSE_OPEN_KILL_SUIDGID where an open with these flags truncates
// for somebody without CAP_FSETID, which here only user 0 has.
func (c *Client) killSuid(flags uint32, trunc uint32) uint32 {
	if c.k.has(protocol.InitHandleKillprivV2) && flags&trunc != 0 && c.Uid != 0 {
		return protocol.OpenKillSuidgid
	}
	return 0
}
