/* usage: forgetfs [FUSE-OPTIONS] -o live=FILE,durable=FILE MOUNTPOINT
 *
 * A disk that forgets, for tests of what survives a power cut. MOUNTPOINT/disk is a block device's content; it is loop-mounted,
 * and the kernel's own file system lies on it. What the loop device wrote is seen by it at once, and becomes durable only when
 * it flushes (fsync() of the file). At a power cut all that was written since the last flush survives or not, as the order says.
 *
 * Why a disk, and not a file system that forgets files: what a device loses is decided by the file system that it has and by
 * the flushes that this one sends, and both are the real ones here: delayed allocation, a rename that is durable while the data
 * below its name is not, journal recovery at the next mount, syncfs(). overlay2 and with it an engine's data root lie on it as
 * on any disk, which they do not on FUSE. The device mapper (dm-log-writes, dm-flakey) would do the same; many kernels lack it.
 *
 * MOUNTPOINT/control takes one order in each write:
 *   cut none          nothing that was written after the last flush survives
 *   cut all           all of it does
 *   cut prefix SEED   the first of these writes, in the order in which they came
 *   cut subset SEED   any of them, each block of 4,096 bytes by itself
 *   revive            after a cut: the disk holds what survived. Between the two it still takes writes, for nothing, so that
 *                     the file system of before the cut can be unmounted.
 * Reading it gives "alive|cut WRITES FLUSHES PENDING-WRITES". */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 4096 };

struct extent {
	off_t at;
	size_t size;
	char *data;                  /* what was written; NULL once the power is off */
};

static struct disk {
	char *live_path, *durable_path;
	int live, durable;
	struct extent *extents;      /* since the last flush, oldest first */
	size_t n, room;
	bool cut;
	unsigned long writes, flushes;
} disk;

static const struct fuse_opt options[] = {
	{ "live=%s", offsetof(struct disk, live_path), 0 },
	{ "durable=%s", offsetof(struct disk, durable_path), 0 },
	FUSE_OPT_END
};

/* The test is worth nothing when the disk itself fails. */
static void must(bool good, const char *what)
{
	if (!good) {
		perror(what);
		abort();
	}
}

static void put(int fd, const char *data, size_t size, off_t at)
{
	while (size) {
		ssize_t n = pwrite(fd, data, size, at);

		must(n > 0, "forgetfs: pwrite");
		data += n;
		at += n;
		size -= (size_t)n;
	}
}

static void remember(const char *data, size_t size, off_t at)
{
	struct extent *e;

	if (disk.n == disk.room) {
		disk.room = disk.room ? disk.room * 2 : 256;
		disk.extents = realloc(disk.extents, disk.room * sizeof(*disk.extents));
		must(disk.extents, "forgetfs: realloc");
	}
	e = &disk.extents[disk.n++];
	*e = (struct extent){ .at = at, .size = size };
	if (disk.cut)
		return;
	e->data = malloc(size);
	must(e->data, "forgetfs: malloc");
	memcpy(e->data, data, size);
}

static void flush(void)
{
	for (size_t i = 0; i < disk.n; i++) {
		put(disk.durable, disk.extents[i].data, disk.extents[i].size, disk.extents[i].at);
		free(disk.extents[i].data);
	}
	disk.n = 0;
	disk.flushes++;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static int cut(const char *how, uint64_t seed)
{
	bool all = !strcmp(how, "all"), prefix = !strcmp(how, "prefix"), subset = !strcmp(how, "subset");
	size_t survive;

	if (disk.cut || (!all && !prefix && !subset && strcmp(how, "none") != 0))
		return -EINVAL;
	survive = all || subset ? disk.n : prefix ? next_random(&seed) % (disk.n + 1) : 0;
	for (size_t i = 0; i < disk.n; i++) {
		struct extent *e = &disk.extents[i];
		size_t done = 0, part;

		for (; i < survive && done < e->size; done += part) {
			part = BLOCK - (size_t)((e->at + (off_t)done) % BLOCK);
			part = part < e->size - done ? part : e->size - done;
			if (!subset || next_random(&seed) % 2)
				put(disk.durable, e->data + done, part, e->at + (off_t)done);
		}
		free(e->data);
		e->data = NULL;
	}
	disk.cut = true;
	return 0;
}

static int revive(void)
{
	static char buffer[1 << 16];

	if (!disk.cut)
		return -EINVAL;
	for (size_t i = 0; i < disk.n; i++) {
		off_t at = disk.extents[i].at, end = at + (off_t)disk.extents[i].size;

		while (at < end) {
			size_t want = end - at < (off_t)sizeof(buffer) ? (size_t)(end - at) : sizeof(buffer);
			ssize_t n = pread(disk.durable, buffer, want, at);

			must(n > 0, "forgetfs: pread");
			put(disk.live, buffer, (size_t)n, at);
			at += n;
		}
	}
	disk.n = 0;
	disk.cut = false;
	return 0;
}

static int order(const char *text, size_t size)
{
	char line[64] = "", how[16] = "";
	unsigned long long seed = 0;

	if (size >= sizeof(line))
		return -EINVAL;
	memcpy(line, text, size);
	if (!strncmp(line, "revive", 6))
		return revive();
	if (sscanf(line, "cut %15s %llu", how, &seed) < 1)
		return -EINVAL;
	return cut(how, seed);
}

static bool is_disk(const char *path) { return !strcmp(path, "/disk"); }
static bool is_control(const char *path) { return !strcmp(path, "/control"); }

static int f_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	memset(st, 0, sizeof(*st));
	st->st_nlink = 1;
	if (!strcmp(path, "/")) {
		st->st_mode = S_IFDIR | 0755;
	} else if (is_disk(path)) {
		if (fstat(disk.live, st))
			return -errno;
		st->st_mode = S_IFREG | 0600;
	} else if (is_control(path)) {
		st->st_mode = S_IFREG | 0600;
	} else {
		return -ENOENT;
	}
	return 0;
}

static int f_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t off, struct fuse_file_info *fi,
		     enum fuse_readdir_flags flags)
{
	(void)path, (void)off, (void)fi, (void)flags;
	fill(buf, "disk", NULL, 0, 0);
	fill(buf, "control", NULL, 0, 0);
	return 0;
}

static int f_open(const char *path, struct fuse_file_info *fi)
{
	/* no page cache: after "revive" it would show what did not survive */
	fi->direct_io = 1;
	return is_disk(path) || is_control(path) ? 0 : -ENOENT;
}

static int f_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	(void)size, (void)fi;
	return is_control(path) ? 0 : -EPERM;
}

static int f_read(const char *path, char *buf, size_t size, off_t at, struct fuse_file_info *fi)
{
	ssize_t n;

	(void)fi;
	if (is_control(path)) {
		char text[96];
		int len = snprintf(text, sizeof(text), "%s %lu %lu %zu\n", disk.cut ? "cut" : "alive", disk.writes, disk.flushes,
				   disk.n);

		if (at >= len)
			return 0;
		size = size < (size_t)(len - at) ? size : (size_t)(len - at);
		memcpy(buf, text + at, size);
		return (int)size;
	}
	n = pread(disk.live, buf, size, at);
	return n < 0 ? -errno : (int)n;
}

static int f_write(const char *path, const char *buf, size_t size, off_t at, struct fuse_file_info *fi)
{
	int r;

	(void)fi;
	if (is_control(path)) {
		r = order(buf, size);
		return r ? r : (int)size;
	}
	put(disk.live, buf, size, at);
	remember(buf, size, at);
	disk.writes++;
	return (int)size;
}

static int f_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)datasync, (void)fi;
	if (is_disk(path) && !disk.cut)
		flush();
	return 0;
}

static const struct fuse_operations operations = {
	.getattr = f_getattr,
	.readdir = f_readdir,
	.open = f_open,
	.truncate = f_truncate,
	.read = f_read,
	.write = f_write,
	.fsync = f_fsync,
};

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);

	if (fuse_opt_parse(&args, &disk, options, NULL) || !disk.live_path || !disk.durable_path) {
		fprintf(stderr, "usage: forgetfs -o live=FILE,durable=FILE MOUNTPOINT\n");
		return 2;
	}
	disk.live = open(disk.live_path, O_RDWR | O_CLOEXEC);
	disk.durable = open(disk.durable_path, O_RDWR | O_CLOEXEC);
	must(disk.live >= 0 && disk.durable >= 0, "forgetfs: open");
	/* one thread: a cut is at one point of the order of writes */
	fuse_opt_add_arg(&args, "-s");
	fuse_opt_add_arg(&args, "-f");
	return fuse_main(args.argc, args.argv, &operations, NULL);
}
