//go:build go1.27 || stdfork

package unix

import "syscall"

// Spawn starts the program at path with these arguments and environment, and
// returns its process id. Its descriptor i is a duplicate of files[i], or none if
// that is negative; others that are not close-on-exec it inherits too. With
// session it leads a session of its own, which has no terminal.
func Spawn(path string, argv, env []string, files []int, session bool) (pid int, err error) {
	attr := syscall.ProcAttr{Env: env, Sys: &syscall.SysProcAttr{Setsid: session}}
	for _, fd := range files {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	pid, err = syscall.ForkExec(path, argv, &attr)
	if err != nil {
		return -1, err
	}
	return pid, nil
}
