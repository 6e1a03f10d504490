// A null file system in C, as small as it can be: the floor that the servers in Go
// are compared with. One directory, one file "f" of 1 GiB of whatever is in the
// reply's buffer; what is written is forgotten.
//
//	null dev|uring DEPTH MNT
//
// dev has two threads at /dev/fuse, uring a pinned ring for each possible CPU with
// DEPTH entries. It prints "ready" once requests are served, and ends with the mount.
// Copies nothing, checks little: it is for benchmarks only.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAX = 1 << 20, PAGE = 4096, FILE_SIZE = 1 << 30 };
enum { LOOKUP = 1, FORGET = 2, GETATTR = 3, OPEN = 14, READ = 15, WRITE = 16, STATFS = 17, RELEASE = 18,
	INIT = 26, OPENDIR = 27, RELEASEDIR = 29, FLUSH = 25, INTERRUPT = 36, BATCH_FORGET = 42 };
enum { ASYNC_READ = 1, BIG_WRITES = 1 << 5, PARALLEL_DIROPS = 1 << 18, ASYNC_DIO = 1 << 15, MAX_PAGES = 1 << 22,
	INIT_EXT = 1 << 30, OVER_IO_URING_HI = 1 << 9 };

struct in_header { uint32_t len, opcode; uint64_t unique, nodeid; uint32_t uid, gid, pid; uint16_t extlen, pad; };
struct out_header { uint32_t len; int32_t error; uint64_t unique; };
struct attr { uint64_t ino, size, blocks, atime, mtime, ctime; uint32_t ns[3], mode, nlink, uid, gid, rdev, blksize, flags; };
struct entry_out { uint64_t nodeid, generation, entry_valid, attr_valid; uint32_t entry_ns, attr_ns; struct attr attr; };
struct attr_out { uint64_t valid; uint32_t ns, dummy; struct attr attr; };
struct open_out { uint64_t fh; uint32_t flags; int32_t backing; };
struct rw_in { uint64_t fh, offset; uint32_t size, flags; };
struct init_in { uint32_t major, minor, readahead, flags, flags2; };
struct init_out { uint32_t major, minor, readahead, flags; uint16_t background, threshold; uint32_t max_write, gran;
	uint16_t max_pages, align; uint32_t flags2, rest[7]; };
struct ring_header { char in_out[128], op_in[128]; uint64_t flags, commit_id; uint32_t payload, offset; uint64_t reserved; };

static int dev;
static uint32_t possible = 1;

static void die(const char *what) { perror(what); exit(1); }

static void fill(struct attr *a, uint64_t node) {
	memset(a, 0, sizeof *a);
	a->ino = node;
	a->nlink = 1;
	a->blksize = PAGE;
	a->mode = node == 1 ? 040755 : 0100644;
	a->size = node == 1 ? 0 : FILE_SIZE;
}

// serve puts the reply to op into out and returns its length, or a negative errno.
static int serve(uint32_t op, uint64_t node, const void *arg, const char *name, char *out) {
	switch (op) {
	case LOOKUP: {
		struct entry_out *e = (void *)out;
		if (strcmp(name, "f")) return -ENOENT;
		memset(e, 0, sizeof *e);
		e->nodeid = 2; // entry_valid is 0: each stat(2) looks it up
		e->attr_valid = 3600;
		fill(&e->attr, 2);
		return sizeof *e;
	}
	case GETATTR: {
		struct attr_out *a = (void *)out;
		memset(a, 0, sizeof *a);
		a->valid = 3600;
		fill(&a->attr, node);
		return sizeof *a;
	}
	case OPEN: case OPENDIR:
		memset(out, 0, sizeof(struct open_out));
		return sizeof(struct open_out);
	case READ: return ((const struct rw_in *)arg)->size;
	case WRITE:
		((uint32_t *)out)[0] = ((const struct rw_in *)arg)->size;
		((uint32_t *)out)[1] = 0;
		return 8;
	case RELEASE: case RELEASEDIR: return 0;
	}
	return -ENOSYS;
}

static void init(const struct in_header *h, int uring) {
	const struct init_in *in = (const void *)(h + 1);
	struct { struct out_header h; struct init_out o; } r;
	memset(&r, 0, sizeof r);
	r.h.len = sizeof r;
	r.h.unique = h->unique;
	r.o.major = 7;
	r.o.minor = in->minor < 46 ? in->minor : 46;
	r.o.readahead = in->readahead;
	r.o.flags = in->flags & (ASYNC_READ | BIG_WRITES | PARALLEL_DIROPS | ASYNC_DIO | MAX_PAGES | INIT_EXT);
	r.o.flags2 = uring ? OVER_IO_URING_HI : 0;
	r.o.background = 256;
	r.o.threshold = 192;
	r.o.max_write = MAX;
	r.o.max_pages = MAX / PAGE;
	r.o.gran = 1;
	if (write(dev, &r, sizeof r) != sizeof r) die("init");
}

static void *reader(void *unused) {
	size_t lead = PAGE - 80; // WRITE data begin on a page
	char *in = mmap(0, 4 * MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *out = in + 2 * MAX;
	for (;;) {
		ssize_t n = read(dev, in + lead, MAX + 2 * PAGE);
		if (n < 0) {
			if (errno == EINTR || errno == ENOENT || errno == EAGAIN) continue;
			return 0;
		}
		struct in_header *h = (void *)(in + lead);
		if (h->opcode == FORGET || h->opcode == BATCH_FORGET || h->opcode == INTERRUPT) continue;
		int len = serve(h->opcode, h->nodeid, h + 1, (char *)(h + 1), out);
		struct out_header o = { sizeof o, 0, h->unique };
		if (len < 0) { o.error = len; len = 0; }
		o.len += len;
		struct iovec v[2] = { { &o, sizeof o }, { out, len } };
		if (writev(dev, v, 2) < 0 && errno != ENOENT) return 0;
	}
	return unused;
}

struct queue { uint32_t id, depth; pthread_t thread; int ring; _Atomic uint32_t *tail, *cqhead, *cqtail; uint32_t mask, cqmask;
	char *sqes, *cqes; struct ring_header *heads; char *payload; };

static int enter(struct queue *q, unsigned submit, unsigned wait) {
	return syscall(SYS_io_uring_enter, q->ring, submit, wait, IORING_ENTER_GETEVENTS, 0, 0);
}

static void setup(struct queue *q) {
	struct io_uring_params p = { .flags = IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		IORING_SETUP_SUBMIT_ALL | (1 << 16) /* NO_SQARRAY */ };
	unsigned entries = 1;
	while (entries < q->depth) entries *= 2;
	if ((q->ring = syscall(SYS_io_uring_setup, entries, &p)) < 0) die("io_uring_setup");
	char *r = mmap(0, p.cq_off.cqes + p.cq_entries * 16, PROT_READ | PROT_WRITE, MAP_SHARED, q->ring, IORING_OFF_SQ_RING);
	q->sqes = mmap(0, p.sq_entries * 128, PROT_READ | PROT_WRITE, MAP_SHARED, q->ring, IORING_OFF_SQES);
	if (r == MAP_FAILED || q->sqes == MAP_FAILED) die("mmap");
	q->tail = (void *)(r + p.sq_off.tail);
	q->mask = p.sq_entries - 1;
	q->cqhead = (void *)(r + p.cq_off.head);
	q->cqtail = (void *)(r + p.cq_off.tail);
	q->cqmask = p.cq_entries - 1;
	q->cqes = r + p.cq_off.cqes;
	q->heads = mmap(0, q->depth * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	q->payload = mmap(0, (size_t)q->depth * MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static struct ring_header *head(struct queue *q, unsigned i) { return (void *)((char *)q->heads + i * PAGE); }

// put queues a REGISTER (1) or COMMIT_AND_FETCH (2) of entry i.
static void put(struct queue *q, uint32_t cmd, unsigned i, struct iovec *v) {
	uint32_t tail = atomic_load_explicit(q->tail, memory_order_relaxed);
	char *s = q->sqes + (tail & q->mask) * 128;
	memset(s, 0, 128);
	s[0] = 46; // URING_CMD
	*(int32_t *)(s + 4) = dev;
	*(uint32_t *)(s + 8) = cmd;
	*(uint64_t *)(s + 16) = (uintptr_t)v;
	*(uint32_t *)(s + 24) = v ? 2 : 0;
	*(uint64_t *)(s + 32) = i;
	*(uint64_t *)(s + 56) = cmd == 2 ? head(q, i)->commit_id : 0;
	*(uint16_t *)(s + 64) = q->id;
	atomic_store_explicit(q->tail, tail + 1, memory_order_release);
}

static void *ring(void *arg) {
	struct queue *q = arg;
	cpu_set_t cpu;
	CPU_ZERO(&cpu);
	CPU_SET(q->id, &cpu);
	sched_setaffinity(0, sizeof cpu, &cpu);
	setup(q);
	struct iovec v[64][2];
	unsigned submit = 0;
	for (unsigned i = 0; i < q->depth; i++, submit++) {
		v[i][0] = (struct iovec){ head(q, i), sizeof(struct ring_header) };
		v[i][1] = (struct iovec){ q->payload + (size_t)i * MAX, MAX };
		put(q, 1, i, v[i]);
	}
	for (;;) {
		if (enter(q, submit, 1) < 0 && errno != EINTR) return 0;
		submit = 0;
		uint32_t at = atomic_load_explicit(q->cqhead, memory_order_relaxed);
		uint32_t end = atomic_load_explicit(q->cqtail, memory_order_acquire);
		for (; at != end; at++) {
			struct { uint64_t user; int32_t res; uint32_t flags; } *c = (void *)(q->cqes + (at & q->cqmask) * 16);
			if (c->res < 0) return 0;
			unsigned i = c->user;
			struct ring_header *r = head(q, i);
			struct in_header *h = (void *)r->in_out;
			char *data = q->payload + (size_t)i * MAX;
			uint64_t unique = h->unique;
			int len = h->opcode == FORGET ? 0 : serve(h->opcode, h->nodeid, r->op_in, data, data);
			struct out_header *o = (void *)r->in_out;
			o->len = 0;
			o->error = len < 0 ? len : 0;
			o->unique = unique;
			r->payload = len < 0 ? 0 : len;
			put(q, 2, i, 0);
			submit++;
		}
		atomic_store_explicit(q->cqhead, at, memory_order_release);
	}
}

int main(int n, char **args) {
	if (n != 4) { fprintf(stderr, "usage: null dev|uring DEPTH MNT\n"); return 2; }
	int uring = !strcmp(args[1], "uring");
	uint32_t depth = atoi(args[2]);
	if (uring && (depth < 1 || depth > 64)) { fprintf(stderr, "null: DEPTH is 1 to 64\n"); return 2; }
	char o[128], buf[16384];
	if ((dev = open("/dev/fuse", O_RDWR | O_CLOEXEC)) < 0) die("/dev/fuse");
	snprintf(o, sizeof o, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", dev);
	if (mount("null", args[3], "fuse.null", MS_NOSUID | MS_NODEV, o)) die("mount");
	if (read(dev, buf, sizeof buf) < 0) die("read");
	possible = sysconf(_SC_NPROCESSORS_CONF);
	init((void *)buf, uring);
	struct queue *q = calloc(possible, sizeof *q);
	for (uint32_t i = 0; uring && i < possible; i++) {
		q[i].id = i;
		q[i].depth = depth;
		if (pthread_create(&q[i].thread, 0, ring, &q[i])) die("pthread_create");
	}
	pthread_t second;
	if (!uring && pthread_create(&second, 0, reader, 0)) die("pthread_create");
	printf("ready\n");
	fflush(stdout);
	reader(0);
	return 0;
}
