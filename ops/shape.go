package ops

import "github.com/fusewire/fusewire/protocol"

// Sizes of reply structs. Those before 7.9 were shorter; conn serves from 7.12.
const (
	sizeEntry  = 128
	sizeAttr   = 104
	sizeOpen   = 16
	sizeStatfs = 80
	sizeStatx  = 288
	sizeLk     = 24
	sizeIoctl  = 16
	sizeSmall  = 8 // write_out, getxattr_out, lseek_out, bmap_out, poll_out, copy_file_range_out
)

// shape is what the reply to an opcode is made of, besides data.
type shape struct {
	fixed uint16 // bytes of the reply struct
	holds holds
}

// holds is what a reply gives the kernel to hold, and what is to be taken back
// if the kernel does not take the reply.
type holds uint8

const (
	holdsNode    holds = 1 << iota // Out is an EntryOut: one lookup
	holdsFile                      // Out, behind the EntryOut if any, is an OpenOut
	holdsDir                       // with holdsFile: OPENDIR's
	holdsEntries                   // the data are direntplus: a lookup each
)

// gives is what the number is that a handler returns.
type gives uint8

const (
	givesData    gives = iota // bytes in the payload area
	givesU32                  // the first field of the reply struct, and that alone is sent
	givesU64                  // likewise
	givesEntries              // nothing: the DirBuf knows
)

// shapes holds those that are not zero, that of data and nothing else.
var shapes = [...]shape{
	protocol.OpLookup:          {sizeEntry, holdsNode},
	protocol.OpSymlink:         {sizeEntry, holdsNode},
	protocol.OpMknod:           {sizeEntry, holdsNode},
	protocol.OpMkdir:           {sizeEntry, holdsNode},
	protocol.OpLink:            {sizeEntry, holdsNode},
	protocol.OpOpen:            {sizeOpen, holdsFile},
	protocol.OpOpendir:         {sizeOpen, holdsFile | holdsDir},
	protocol.OpCreate:          {sizeEntry + sizeOpen, holdsNode | holdsFile},
	protocol.OpTmpfile:         {sizeEntry + sizeOpen, holdsNode | holdsFile},
	protocol.OpReaddirplus:     {0, holdsEntries},
	protocol.OpGetattr:         {sizeAttr, 0},
	protocol.OpSetattr:         {sizeAttr, 0},
	protocol.OpStatx:           {sizeStatx, 0},
	protocol.OpStatfs:          {sizeStatfs, 0},
	protocol.OpGetlk:           {sizeLk, 0},
	protocol.OpIoctl:           {sizeIoctl, 0},
	protocol.OpWrite:           {sizeSmall, 0},
	protocol.OpLseek:           {sizeSmall, 0},
	protocol.OpCopyFileRange:   {sizeSmall, 0},
	protocol.OpCopyFileRange64: {sizeSmall, 0},
	protocol.OpBmap:            {sizeSmall, 0},
	protocol.OpPoll:            {sizeSmall, 0},
}

var (
	plain    shape                // of opcodes behind the table
	noHandle = shape{sizeOpen, 0} // of an open that nobody handles
)
