// Package conformance asks the file system every question POSIX answers and
// compares the answers with ext4's.
//
// A case is a fixture, made by root, and a few calls by one of several users.
// It runs twice: in a directory on ext4, and in one that cmd/passthrough
// serves from ext4. What is compared, line by line: the result of each call
// (errno or value), and the whole tree afterwards (type, mode, owner, links,
// size, contents, extended attributes, and whether each time is as it was),
// seen through the mount and once more behind it.
//
//	chmod/other/file-0644-02755
//	  other chmod(f,02755)=EPERM
//	  view  f reg 0644 1001:1001 n=1 s=4 a=same m=same c=same "text"
//
// Cases are generated: operations times users times modes times flags. What
// may differ stands in permitted_test.go with its reason.
package conformance
