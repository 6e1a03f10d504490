package protocol

// Opcode is the operation of a request (enum fuse_opcode).
type Opcode uint32

// The opcodes; those of 7.7 and later with the minor that introduced them.
// 54 and above are not assigned.
const (
	OpLookup                Opcode = 1         // find a name
	OpForget                Opcode = 2         // drop nlookup; no reply
	OpGetattr               Opcode = 3         // stat(2)
	OpSetattr               Opcode = 4         // chmod(2), chown(2), truncate(2), utimensat(2)
	OpReadlink              Opcode = 5         // target of a symbolic link
	OpSymlink               Opcode = 6         // make one
	OpMknod                 Opcode = 8         // make any other node
	OpMkdir                 Opcode = 9         // make a directory
	OpUnlink                Opcode = 10        // remove a name
	OpRmdir                 Opcode = 11        // remove a directory
	OpRename                Opcode = 12        // rename without flags
	OpLink                  Opcode = 13        // make a hard link
	OpOpen                  Opcode = 14        // open a file
	OpRead                  Opcode = 15        // read data
	OpWrite                 Opcode = 16        // write data
	OpStatfs                Opcode = 17        // statfs(2)
	OpRelease               Opcode = 18        // last close of an open file
	OpFsync                 Opcode = 20        // fsync(2)
	OpSetxattr              Opcode = 21        // set an extended attribute
	OpGetxattr              Opcode = 22        // get one
	OpListxattr             Opcode = 23        // list their names
	OpRemovexattr           Opcode = 24        // remove one
	OpFlush                 Opcode = 25        // each close(2)
	OpInit                  Opcode = 26        // negotiate; the first request
	OpOpendir               Opcode = 27        // open a directory
	OpReaddir               Opcode = 28        // read entries
	OpReleasedir            Opcode = 29        // last close of a directory
	OpFsyncdir              Opcode = 30        // fsync(2) of a directory
	OpGetlk                 Opcode = 31        // find a conflicting lock
	OpSetlk                 Opcode = 32        // set a lock
	OpSetlkw                Opcode = 33        // set a lock, wait for it
	OpAccess                Opcode = 34        // access(2)
	OpCreate                Opcode = 35        // make a file and open it
	OpInterrupt             Opcode = 36        // 7.7: give a request up
	OpBmap                  Opcode = 37        // 7.8: find a block
	OpDestroy               Opcode = 38        // 7.8: the file system goes away
	OpIoctl                 Opcode = 39        // 7.11: ioctl(2)
	OpPoll                  Opcode = 40        // 7.11: poll(2)
	OpNotifyReply           Opcode = 41        // 7.15: data for NotifyRetrieve; no reply
	OpBatchForget           Opcode = 42        // 7.16: many FORGETs; no reply
	OpFallocate             Opcode = 43        // 7.19: fallocate(2)
	OpReaddirplus           Opcode = 44        // 7.21: read entries with attributes
	OpRename2               Opcode = 45        // 7.23: renameat2(2) with flags
	OpLseek                 Opcode = 46        // 7.24: find data or a hole
	OpCopyFileRange         Opcode = 47        // 7.28: copy_file_range(2)
	OpSetupmapping          Opcode = 48        // 7.31: DAX: map
	OpRemovemapping         Opcode = 49        // 7.31: DAX: unmap
	OpSyncfs                Opcode = 50        // 7.34: syncfs(2)
	OpTmpfile               Opcode = 51        // 7.37: make a file without a name and open it
	OpStatx                 Opcode = 52        // 7.39: statx(2)
	OpCopyFileRange64       Opcode = 53        // 7.45: the same with a 64-bit result
	OpCuseInit              Opcode = 4096      // negotiate a character device
	OpCuseInitBswapReserved Opcode = 1048576   // CuseInit in the other byte order, never used
	OpInitBswapReserved     Opcode = 436207616 // Init in the other byte order, never used
)
