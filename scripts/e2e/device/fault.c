/* LD_PRELOAD shim: counts the write points of a program, and at one of them ends it, cuts the power of its disk (forgetfs.c), or
 * lets the call fail. A write point is a call that changes something, or makes a change durable, below one of the given folders.
 * What libc does by itself below stdio is not seen.
 *
 * FAULT_PROGRAMS  names of the programs that are meant, separated by colons; others, and without it all, are left alone
 * FAULT_BELOW     folders without symbolic links, separated by colons
 * FAULT_COUNTER   file of 8 bytes with the number of the last point, counted on by every process and run
 * FAULT_LOG       file to which each point adds a line "NUMBER CALL PATH"
 * FAULT_AT        number of the point; FAULT_ON=1: and of all later ones
 * FAULT_DO        before  SIGKILL instead of the call
 *                 after   SIGKILL when the call has returned
 *                 half    SIGKILL when half of the bytes are written; as "before" where nothing is written
 *                 short   half of the bytes are written, and said to be
 *                 ENOSPC, EDQUOT, EIO, EROFS: the call fails so, if it can: room is missing only where some is taken
 * FAULT_CUT       order for FAULT_CONTROL, the control file of a forgetfs, given just before each of these SIGKILLs
 * FAULT_PAUSE     milliseconds before that, in which the kernel brings to the disk what it likes
 * FAULT_LAZY      fsync(), fdatasync() and syncfs() say that they did it, and do nothing
 * FAULT_CLOCK     seconds since 1970 that the wall clock shows when the program starts */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum deed { PASS, BEFORE, AFTER, HALF, SHORT, FAIL };
enum kind { TAKES_ROOM = 1, WRITES = 2 };

static bool on;
static const char *below;
static _Atomic uint64_t own_counter, *counter = &own_counter;
static int log_fd = -1;
static uint64_t at;
static bool from_there_on, lazy;
static enum deed deed = PASS;
static int error_number;
static int64_t clock_offset;

#define REAL(name) \
	({ \
		static __typeof__(&name) real_; \
		if (!real_) \
			real_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
		real_; \
	})

static bool listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	while (list && *list) {
		size_t n = strcspn(list, ":");

		if (n == len && !memcmp(list, name, n))
			return true;
		list += n + (list[n] == ':');
	}
	return false;
}

static void read_deed(const char *text)
{
	static const struct { const char *name; enum deed deed; int error; } deeds[] = {
		{ "before", BEFORE, 0 }, { "after", AFTER, 0 }, { "half", HALF, 0 }, { "short", SHORT, 0 },
		{ "ENOSPC", FAIL, ENOSPC }, { "EDQUOT", FAIL, EDQUOT }, { "EIO", FAIL, EIO }, { "EROFS", FAIL, EROFS },
	};

	for (size_t i = 0; text && i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		if (!strcmp(text, deeds[i].name)) {
			deed = deeds[i].deed;
			error_number = deeds[i].error;
		}
	}
}

__attribute__((constructor)) static void begin(void)
{
	const char *file = getenv("FAULT_COUNTER"), *text = getenv("FAULT_CLOCK");
	struct timespec now;
	void *map;
	int fd;

	if (!listed(getenv("FAULT_PROGRAMS"), program_invocation_short_name))
		return;
	if (text && !REAL(clock_gettime)(CLOCK_REALTIME, &now))
		clock_offset = strtoll(text, NULL, 10) - now.tv_sec;
	below = getenv("FAULT_BELOW");
	if (file && (fd = REAL(open)(file, O_RDWR | O_CLOEXEC)) >= 0) {
		map = mmap(NULL, sizeof(*counter), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map != MAP_FAILED)
			counter = map;
		close(fd);
	}
	if ((text = getenv("FAULT_LOG")))
		log_fd = REAL(open)(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if ((text = getenv("FAULT_AT")))
		at = strtoull(text, NULL, 10);
	from_there_on = getenv("FAULT_ON");
	lazy = getenv("FAULT_LAZY");
	read_deed(getenv("FAULT_DO"));
	on = below;
}

__attribute__((noreturn)) static void end(void)
{
	const char *how = getenv("FAULT_CUT"), *control = getenv("FAULT_CONTROL"), *pause = getenv("FAULT_PAUSE");

	if (pause)
		usleep((useconds_t)strtoul(pause, NULL, 10) * 1000);
	if (how && control) {
		int fd = (int)syscall(SYS_openat, AT_FDCWD, control, O_WRONLY, 0);

		if (fd < 0 || syscall(SYS_write, fd, how, strlen(how)) < 0)
			(void)!syscall(SYS_write, 2, "fault: the power cannot be cut\n", 31);
	}
	for (;;)
		kill(getpid(), SIGKILL);
}

static bool is_below(const char *path)
{
	for (const char *p = below; *p;) {
		size_t n = strcspn(p, ":");

		if (n && !strncmp(path, p, n) && (!path[n] || path[n] == '/'))
			return true;
		p += n + (p[n] == ':');
	}
	return false;
}

/* The path of a descriptor, or of a name beside one, its last part as it is. */
static void path_of(int fd, const char *name, char ret[2 * PATH_MAX])
{
	char link[64];
	ssize_t n = 0;

	if (!name || name[0] != '/') {
		if (fd == AT_FDCWD)
			snprintf(link, sizeof(link), "/proc/self/cwd");
		else
			snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, ret, PATH_MAX);
		if (n < 0)
			n = 0;
		if (name && *name)
			ret[n++] = '/';
	}
	snprintf(ret + n, 2 * PATH_MAX - (size_t)n, "%s", name ? name : "");
}

/* What is to happen at this point, if it is one. */
static enum deed point(const char *call, int kind, int fd, const char *name)
{
	char path[2 * PATH_MAX], line[2 * PATH_MAX + 64];
	int saved = errno, len;
	uint64_t n;

	if (!on)
		return PASS;
	path_of(fd, name, path);
	errno = saved;
	if (!is_below(path))
		return PASS;
	n = atomic_fetch_add(counter, 1) + 1;
	if (log_fd >= 0) {
		len = snprintf(line, sizeof(line), "%llu %s %s\n", (unsigned long long)n, call, path);
		(void)!syscall(SYS_write, log_fd, line, (size_t)len);
		errno = saved;
	}
	if (!at || n < at || (n > at && !from_there_on))
		return PASS;
	if (deed == BEFORE || (deed == HALF && !(kind & WRITES)))
		end();
	if ((deed == HALF || deed == SHORT) && !(kind & WRITES))
		return PASS;
	if (deed == FAIL && (error_number == ENOSPC || error_number == EDQUOT) && !(kind & TAKES_ROOM))
		return PASS;
	if (deed == FAIL)
		errno = error_number;
	return deed;
}

#define AT_POINT(kind, fd, path, type, call) \
	({ \
		enum deed deed_ = point(__func__, kind, fd, path); \
		type ret_ = (type)-1; \
		if (deed_ != FAIL) \
			ret_ = (call); \
		if (deed_ == AFTER) \
			end(); \
		ret_; \
	})

/* ---- bytes */

#define WRITE_POINT(fd, size, call) \
	({ \
		enum deed deed_ = point(__func__, TAKES_ROOM | WRITES, fd, NULL); \
		ssize_t ret_ = -1; \
		if ((deed_ == HALF || deed_ == SHORT) && size > 1) \
			size /= 2; \
		if (deed_ != FAIL) \
			ret_ = (call); \
		if (deed_ == AFTER || deed_ == HALF) \
			end(); \
		ret_; \
	})

ssize_t write(int fd, const void *data, size_t size) { return WRITE_POINT(fd, size, REAL(write)(fd, data, size)); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t to)
{
	return WRITE_POINT(fd, size, REAL(pwrite)(fd, data, size, to));
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t to)
{
	return WRITE_POINT(fd, size, REAL(pwrite64)(fd, data, size, to));
}

/* Half of several pieces is the first half of the pieces. */
ssize_t writev(int fd, const struct iovec *v, int n) { return WRITE_POINT(fd, n, REAL(writev)(fd, v, n)); }
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t to) { return WRITE_POINT(fd, n, REAL(pwritev)(fd, v, n, to)); }
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned flags)
{
	return WRITE_POINT(to, size, REAL(copy_file_range)(from, from_at, to, to_at, size, flags));
}

#define TRUNCATE(name, off) \
	int name(int fd, off size) { return AT_POINT(0, fd, NULL, int, REAL(name)(fd, size)); }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define RESERVE(name, off) \
	int name(int fd, off from, off size) \
	{ \
		enum deed todo = point(__func__, TAKES_ROOM, fd, NULL); \
		int r = todo == FAIL ? errno : REAL(name)(fd, from, size); \
		if (todo == AFTER) \
			end(); \
		return r; \
	}
RESERVE(posix_fallocate, off_t)
RESERVE(posix_fallocate64, off64_t)
int fallocate(int fd, int mode, off_t from, off_t size)
{
	return AT_POINT(TAKES_ROOM, fd, NULL, int, REAL(fallocate)(fd, mode, from, size));
}

/* ---- durability */

int fsync(int fd) { return AT_POINT(TAKES_ROOM, fd, NULL, int, lazy ? 0 : REAL(fsync)(fd)); }
int fdatasync(int fd) { return AT_POINT(TAKES_ROOM, fd, NULL, int, lazy ? 0 : REAL(fdatasync)(fd)); }
int syncfs(int fd) { return AT_POINT(TAKES_ROOM, fd, NULL, int, lazy ? 0 : REAL(syncfs)(fd)); }

/* ---- names */

#define OPEN_AT(name) \
	int name(int dir, const char *path, int flags, ...) \
	{ \
		bool makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE || flags & O_TRUNC; \
		mode_t mode = 0; \
		va_list list; \
		va_start(list, flags); \
		if (makes) \
			mode = va_arg(list, mode_t); \
		va_end(list); \
		if (!makes) \
			return REAL(name)(dir, path, flags); \
		return AT_POINT(TAKES_ROOM, dir, path, int, REAL(name)(dir, path, flags, mode)); \
	}
OPEN_AT(openat)
OPEN_AT(openat64)
#define OPEN(name) \
	int name(const char *path, int flags, ...) \
	{ \
		bool makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE || flags & O_TRUNC; \
		mode_t mode = 0; \
		va_list list; \
		va_start(list, flags); \
		if (makes) \
			mode = va_arg(list, mode_t); \
		va_end(list); \
		if (!makes) \
			return REAL(name)(path, flags); \
		return AT_POINT(TAKES_ROOM, AT_FDCWD, path, int, REAL(name)(path, flags, mode)); \
	}
OPEN(open)
OPEN(open64)
int creat(const char *path, mode_t mode) { return AT_POINT(TAKES_ROOM, AT_FDCWD, path, int, REAL(creat)(path, mode)); }
int mkostemp(char *path, int flags) { return AT_POINT(TAKES_ROOM, AT_FDCWD, path, int, REAL(mkostemp)(path, flags)); }
int mkostemp64(char *path, int flags) { return AT_POINT(TAKES_ROOM, AT_FDCWD, path, int, REAL(mkostemp64)(path, flags)); }
char *mkdtemp(char *path)
{
	enum deed todo = point(__func__, TAKES_ROOM, AT_FDCWD, path);
	char *r = todo == FAIL ? NULL : REAL(mkdtemp)(path);

	if (todo == AFTER)
		end();
	return r;
}
FILE *fopen(const char *path, const char *mode)
{
	bool makes = strpbrk(mode, "wa");
	enum deed todo = makes ? point(__func__, TAKES_ROOM, AT_FDCWD, path) : PASS;
	FILE *r = todo == FAIL ? NULL : REAL(fopen)(path, mode);

	if (todo == AFTER)
		end();
	return r;
}

int mkdir(const char *path, mode_t mode) { return AT_POINT(TAKES_ROOM, AT_FDCWD, path, int, REAL(mkdir)(path, mode)); }
int mkdirat(int dir, const char *path, mode_t mode)
{
	return AT_POINT(TAKES_ROOM, dir, path, int, REAL(mkdirat)(dir, path, mode));
}
int mknodat(int dir, const char *path, mode_t mode, dev_t dev)
{
	return AT_POINT(TAKES_ROOM, dir, path, int, REAL(mknodat)(dir, path, mode, dev));
}
int rename(const char *from, const char *to)
{
	return AT_POINT(TAKES_ROOM, AT_FDCWD, to, int, REAL(rename)(from, to));
}
int renameat(int from_dir, const char *from, int dir, const char *to)
{
	return AT_POINT(TAKES_ROOM, dir, to, int, REAL(renameat)(from_dir, from, dir, to));
}
int renameat2(int from_dir, const char *from, int dir, const char *to, unsigned flags)
{
	return AT_POINT(TAKES_ROOM, dir, to, int, REAL(renameat2)(from_dir, from, dir, to, flags));
}
int link(const char *from, const char *to) { return AT_POINT(TAKES_ROOM, AT_FDCWD, to, int, REAL(link)(from, to)); }
int linkat(int from_dir, const char *from, int dir, const char *to, int flags)
{
	return AT_POINT(TAKES_ROOM, dir, to, int, REAL(linkat)(from_dir, from, dir, to, flags));
}
int symlink(const char *target, const char *path)
{
	return AT_POINT(TAKES_ROOM, AT_FDCWD, path, int, REAL(symlink)(target, path));
}
int symlinkat(const char *target, int dir, const char *path)
{
	return AT_POINT(TAKES_ROOM, dir, path, int, REAL(symlinkat)(target, dir, path));
}
int unlink(const char *path) { return AT_POINT(0, AT_FDCWD, path, int, REAL(unlink)(path)); }
int unlinkat(int dir, const char *path, int flags) { return AT_POINT(0, dir, path, int, REAL(unlinkat)(dir, path, flags)); }
int rmdir(const char *path) { return AT_POINT(0, AT_FDCWD, path, int, REAL(rmdir)(path)); }

/* ---- attributes */

int chmod(const char *path, mode_t mode) { return AT_POINT(0, AT_FDCWD, path, int, REAL(chmod)(path, mode)); }
int fchmod(int fd, mode_t mode) { return AT_POINT(0, fd, NULL, int, REAL(fchmod)(fd, mode)); }
int fchmodat(int dir, const char *path, mode_t mode, int flags)
{
	return AT_POINT(0, dir, path, int, REAL(fchmodat)(dir, path, mode, flags));
}
int chown(const char *path, uid_t user, gid_t group)
{
	return AT_POINT(0, AT_FDCWD, path, int, REAL(chown)(path, user, group));
}
int fchown(int fd, uid_t user, gid_t group) { return AT_POINT(0, fd, NULL, int, REAL(fchown)(fd, user, group)); }
int fchownat(int dir, const char *path, uid_t user, gid_t group, int flags)
{
	return AT_POINT(0, dir, path, int, REAL(fchownat)(dir, path, user, group, flags));
}
int lchown(const char *path, uid_t user, gid_t group)
{
	return AT_POINT(0, AT_FDCWD, path, int, REAL(lchown)(path, user, group));
}
int futimens(int fd, const struct timespec times[2]) { return AT_POINT(0, fd, NULL, int, REAL(futimens)(fd, times)); }
int utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
	return AT_POINT(0, dir, path, int, REAL(utimensat)(dir, path, times, flags));
}
int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	return AT_POINT(TAKES_ROOM, fd, NULL, int, REAL(fsetxattr)(fd, name, value, size, flags));
}
int lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	return AT_POINT(TAKES_ROOM, AT_FDCWD, path, int, REAL(lsetxattr)(path, name, value, size, flags));
}

/* ---- the wall clock */

int clock_gettime(clockid_t id, struct timespec *ret)
{
	int r = REAL(clock_gettime)(id, ret);

	if (!r && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ret->tv_sec += clock_offset;
	return r;
}
int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	int r = REAL(gettimeofday)(ret, zone);

	if (!r)
		ret->tv_sec += clock_offset;
	return r;
}
time_t time(time_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}
