/* Polling for ever: when, and what wakes it. */
#include "pull/pull.h"
#include "util/cleanup.h"
#include "util/digest.h"
#include "util/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

#define FIRST_RETRY 30               /* seconds, doubled with each failure */
#define WAKE_FILE "wake"
#define WATCH_FILE "watching"
#define MOST_SLEEP 3600              /* clocks are looked at again after that long */

/* Who this is, for the place of its polls in time. */
static void device_name(char ret[128])
{
	VN_AUTO(vn_buf) id = VN_BUF(128);
	struct vn_err ignored = { 0 };
	ret[0] = 0;
	if (vn_fs_read("/etc/machine-id", &id, &ignored) == 0)
		snprintf(ret, 128, "%.*s", (int)strcspn(vn_buf_text(&id), "\n"), vn_buf_text(&id));
	if (!*ret && gethostname(ret, 127) < 0)
		ret[0] = 0;
	ret[127] = 0;
}

/* Each device polls at its own place within the splay, the same after every boot, so that a fleet never asks at once. */
int64_t vn_pull_next_time(struct vn_pull *p, bool failed)
{
	char name[128];
	struct vn_err ignored = { 0 };
	uint64_t random = 0;
	int64_t now = vn_pull_clock(), every = p->config.every, splay = p->config.splay < every ? p->config.splay : every;
	if (failed) {
		vn_random(&random, sizeof(random), &ignored);
		int64_t wait = vn_backoff(p->journal.failures ? p->journal.failures - 1 : 0, FIRST_RETRY, every, random);
		int64_t asked = p->wire.retry_after < VN_DAY ? p->wire.retry_after : VN_DAY;
		return now + (asked > wait ? asked : wait);
	}
	device_name(name);
	return now - now % every + every + vn_splay(name, splay);
}

static int open_locked(const struct vn_pull *p, int *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int r = vn_asprintf(&path, err, "%s/" WATCH_FILE, p->config.state);
	if (r < 0)
		return r;
	VN_AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "cannot write %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return vn_fail(err, VN_EREFUSED, "%s is watched already", p->config.state);
	*ret = fd;
	fd = -1;
	return 0;
}

static int wake_path(const struct vn_pull *p, char **ret, struct vn_err *err)
{
	return vn_asprintf(ret, err, "%s/" WAKE_FILE, p->config.state);
}

int vn_pull_wake(struct vn_pull *p, struct vn_err *err)
{
	VN_AUTO_CLOSE int fd = -1;
	VN_AUTO_FREE char *path = NULL;
	int r = vn_fs_exists(p->config.state) ? open_locked(p, &fd, err) : 0;
	if (r == 0) {
		vn_fail(err, VN_ENOTFOUND, "nobody watches %s", p->config.state);
		return vn_hint(err, "`veneer-pull once` asks now; `veneer-pull watch` keeps asking.");
	}
	if (r != -VN_EREFUSED)
		return r;
	*err = (struct vn_err){ 0 };
	r = wake_path(p, &path, err);
	return r < 0 ? r : vn_fs_replace(path, "", 0, 0600, err);
}

/* Until `until`, or a wake. Time is looked at again now and then: it may be set meanwhile. */
static int sleep_until(struct vn_pull *p, int notify, int64_t until, struct vn_err *err)
{
	VN_AUTO_FREE char *wake = NULL;
	char events[4096] __attribute__((aligned(8)));
	int r = wake_path(p, &wake, err);
	if (r < 0)
		return r;
	for (;;) {
		if (unlink(wake) == 0)
			return 0;
		int64_t left = until - vn_pull_clock(), most = p->config.every + p->config.splay + MOST_SLEEP;
		/* a clock that was set back must not put a device to sleep for years */
		if (left <= 0 || left > most + VN_DAY)
			return 0;
		struct pollfd fd = { .fd = notify, .events = POLLIN };
		int n = poll(&fd, 1, (int)((left < MOST_SLEEP ? left : MOST_SLEEP) * 1000));
		if (n < 0 && errno != EINTR)
			return vn_fail_sys(err, VN_EIO, "cannot wait");
		if (n > 0 && read(notify, events, sizeof(events)) < 0 && errno != EAGAIN && errno != EINTR)
			return vn_fail_sys(err, VN_EIO, "cannot read what changed in %s", p->config.state);
	}
}

/* After a boot: where the last run left it, or at this device's place in the splay. */
static int64_t first_time(struct vn_pull *p)
{
	struct vn_err ignored = { 0 };
	char name[128];
	int64_t now = vn_pull_clock();
	if (vn_pull_look(p, &ignored) == 0 && p->journal.next_poll > now && p->journal.next_poll <= now + p->config.every + p->config.splay)
		return p->journal.next_poll;
	device_name(name);
	return now + vn_splay(name, p->config.splay);
}

/* What a person has to put right is told at once, and not after each sleep. */
static int check_orders(struct vn_pull *p, struct vn_err *err)
{
	struct vn_public_keys *keys = NULL;
	int r = p->public_name ? 0 : vn_pull_look(p, err);
	if (r == 0 && !p->public_name && !*p->journal.reference)
		r = vn_fail(err, VN_EUSAGE, "there is no image to follow: name it, or set \"reference\" in the configuration");
	if (r == 0 && p->config.nkeys)
		r = vn_public_keys_open(p->config.keys, p->config.nkeys, &keys, err);
	vn_public_keys_close(keys);
	return r;
}

int vn_pull_watch(struct vn_pull *p, int (*tick)(void *user, int result, const struct vn_err *why), void *user, struct vn_err *err)
{
	VN_AUTO_CLOSE int watching = -1;
	VN_AUTO_CLOSE int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	const struct vn_pull_once_options once = { .size = sizeof(once) };
	int r = check_orders(p, err);
	if (r == 0)
		r = vn_fs_mkdirs(p->config.state, 0700, err);
	if (r == 0)
		r = open_locked(p, &watching, err);
	if (r == 0 && (notify < 0 || inotify_add_watch(notify, p->config.state, IN_CREATE | IN_MOVED_TO) < 0))
		r = vn_fail_sys(err, VN_EIO, "cannot watch %s", p->config.state);
	int64_t next = first_time(p);
	p->watching = true;
	while (r == 0) {
		struct vn_err why = { 0 };
		r = sleep_until(p, notify, next, err);
		if (r < 0)
			return r;
		int result = vn_pull_once(p, &once, &why);
		next = vn_pull_next_time(p, result < 0);
		if (result == -VN_EUSAGE) {
			*err = why;
			return result;
		}
		if (tick && tick(user, result, &why))
			return 0;
	}
	return r;
}
