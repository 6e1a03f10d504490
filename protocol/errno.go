package protocol

import (
	"runtime"
	"strconv"
	"strings"
)

// errnos names Linux's errors from 1 up, which are the same on all
// architectures up to 34.
const errnos FlagSet = "EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY " +
	"EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE"

// genericErrno says that the numbers above 34 are those of
// include/uapi/asm-generic/errno.h; mips and sparc have their own.
var genericErrno = !strings.HasPrefix(runtime.GOARCH, "mips") && !strings.HasPrefix(runtime.GOARCH, "sparc")

// appendErrno appends a header's Error: the name of the error, or the number.
func appendErrno(dst []byte, e int32) []byte {
	if e < 0 && e >= -34 {
		return errnos.AppendText(dst, 1<<(-e-1))
	}
	if genericErrno {
		switch e {
		case -36:
			return add(dst, "ENAMETOOLONG")
		case -38:
			return add(dst, "ENOSYS")
		case -39:
			return add(dst, "ENOTEMPTY")
		case -40:
			return add(dst, "ELOOP")
		case -61:
			return add(dst, "ENODATA")
		case -75:
			return add(dst, "EOVERFLOW")
		case -95:
			return add(dst, "EOPNOTSUPP")
		case -103:
			return add(dst, "ECONNABORTED")
		case -107:
			return add(dst, "ENOTCONN")
		case -116:
			return add(dst, "ESTALE")
		case -122:
			return add(dst, "EDQUOT")
		}
	}
	return strconv.AppendInt(dst, int64(e), 10)
}
