// Package harness is what every test that mounts stands on: a private mount
// namespace, the program under test, directories on known file systems, and
// threads with other people's credentials.
//
//	func TestMain(m *testing.M) { harness.Main(m) }
//
//	func TestRead(t *testing.T) {
//		src := harness.Disk(t)
//		m := harness.Serve(t, src, "-o", "allow_other,default_permissions")
//		os.ReadFile(filepath.Join(m.Dir, "file"))
//	} // the mount is taken down here; a server that does not end with status 0 fails the test
//
// Nothing is skipped: without root or without /dev/fuse the tests fail and say
// so. Nothing hangs either: every wait has a deadline, after which the mount is
// detached and its own server killed, by pid.
package harness
