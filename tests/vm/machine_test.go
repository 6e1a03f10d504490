package vm

// machine is a kernel, and what qemu needs to boot it.
type machine struct {
	name   string
	goarch string

	// the package: of those in suite (and arch, as Debian calls it) whose names match
	// pkg, the newest one. The group of pkg is the version.
	suite, arch, pkg string

	qemu   string   // the program, and the package that has it is qemuIn
	qemuIn string   //
	args   []string // what is special about this machine
	tty    string   // the kernel's console
	extra  string   // more of the kernel's command line

	minor uint32 // what the kernel must say to be the one that is meant: protocol 7.minor
	long  bool   // only with FUSEWIRE_LONG

	modes []string // how the guest is to serve
}

var (
	onDevice = []string{"plain", "direct", "writeback", "fallback"}
	onRings  = []string{"plain", "uring"}
	zeroCopy = []string{"uring", "zero", "zero-direct", "zero-writeback"}
)

var (
	// cx16=off: with it, this emulation of cmpxchg16b was seen to corrupt guests.
	argsAmd64   = []string{"-M", "q35", "-cpu", "max,cx16=off", "-serial", "stdio"}
	argsCounted = []string{"-M", "q35", "-cpu", "max,cx16=off,erms=off,fsrm=off", "-serial", "stdio", "-icount", "shift=0,sleep=off"}
	argsS390x   = []string{"-M", "s390-ccw-virtio", "-cpu", "max", "-chardev", "stdio,id=c0", "-device", "sclpconsole,chardev=c0"}
)

var machines = []machine{
	{
		name: "amd64-7.3", modes: zeroCopy, goarch: "amd64", minor: 46,
		suite: "trixie-backports", arch: "amd64", pkg: `^linux-binary-unsigned-(7\.3\..*)-cloud-amd64$`,
		qemu: "qemu-system-x86_64", qemuIn: "qemu-system-x86", args: argsAmd64, tty: "ttyS0", extra: "fuse.enable_uring=1",
	},
	{
		name: "amd64-7.3-counted", modes: []string{"cost"}, goarch: "amd64", minor: 46, long: true,
		suite: "trixie-backports", arch: "amd64", pkg: `^linux-binary-unsigned-(7\.3\..*)-cloud-amd64$`,
		qemu: "qemu-system-x86_64", qemuIn: "qemu-system-x86", args: argsCounted, tty: "ttyS0", extra: "fuse.enable_uring=1",
	},
	{
		name: "amd64-5.10", modes: onDevice, goarch: "amd64", minor: 32, // INIT has 56 bytes
		suite: "bullseye", arch: "amd64", pkg: `^linux-image-(5\.10\..*)-cloud-amd64$`,
		qemu: "qemu-system-x86_64", qemuIn: "qemu-system-x86", args: argsAmd64, tty: "ttyS0",
	},
	{
		name: "arm64-6.1", modes: onDevice, goarch: "arm64", minor: 38, long: true,
		suite: "bookworm", arch: "arm64", pkg: `^linux-image-(6\.1\..*)-cloud-arm64$`,
		qemu: "qemu-system-aarch64", qemuIn: "qemu-system-arm",
		args: []string{"-M", "virt", "-cpu", "cortex-a57", "-serial", "stdio"}, tty: "ttyAMA0",
	},
	{
		name: "armhf-6.1", modes: onDevice, goarch: "arm", minor: 38, long: true, // 32-bit
		suite: "bookworm", arch: "armhf", pkg: `^linux-image-(6\.1\..*)-armmp-lpae$`,
		qemu: "qemu-system-arm", qemuIn: "qemu-system-arm",
		args: []string{"-M", "virt", "-cpu", "cortex-a15", "-serial", "stdio"}, tty: "ttyAMA0",
	},
	{
		name: "s390x-7.2", modes: onRings, goarch: "s390x", minor: 45, long: true, // big-endian
		suite: "sid", arch: "s390x", pkg: `^linux-binary-(7\.2\..*)-s390x$`,
		qemu: "qemu-system-s390x", qemuIn: "qemu-system-misc", args: argsS390x, tty: "ttysclp0", extra: "fuse.enable_uring=1",
	},
	{
		name: "ppc64le-6.1", modes: onDevice, goarch: "ppc64le", minor: 38, long: true, // pages of 64 KiB
		suite: "bookworm", arch: "ppc64el", pkg: `^linux-image-(6\.1\..*)-powerpc64le$`,
		qemu: "qemu-system-ppc64", qemuIn: "qemu-system-ppc",
		args: []string{"-M", "pseries,x-vof=on", "-cpu", "power9", "-serial", "stdio"}, tty: "hvc0",
	},
}
