/* DIR/                 0700, owned by the user
 * DIR/KIND/KEY         a kept file; its mtime is the stamp of the last use; readers hold a shared flock on it
 * DIR/tmp/             files on their way, each under its writer's exclusive flock: what nobody locks is a leftover; between
 *                      creating and locking, a writer holds a shared flock on DIR/tmp itself
 * DIR/lock             held by the run that evicts
 * DIR/secret           16 random bytes */
#include "image/cache.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define DEFAULT_MAX 20000000000ull

struct vn_cache {
	char *dir;                        /* NULL: off */
	uint64_t max;
	const struct vn_events *events;
	pthread_mutex_t lock;             /* guards what follows */
	bool counted;
	uint64_t total;                   /* bytes kept, as far as this run knows */
	bool warned;
	bool has_secret;
	uint8_t secret[16];
};

static void warn_once(struct vn_cache *c, const char *text)
{
	pthread_mutex_lock(&c->lock);
	bool told = c->warned;
	c->warned = true;
	pthread_mutex_unlock(&c->lock);
	if (!told)
		vn_warn(c->events, "the cache is not used: %s", text);
}

/* ---- opening */
static int default_dir(char **ret, struct vn_err *err)
{
	const char *own = getenv("VENEER_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	if (own && *own)
		return vn_strdup(own, ret, err);
	if (xdg && *xdg == '/')
		return vn_asprintf(ret, err, "%s/veneer", xdg);
	if (home && *home == '/')
		return vn_asprintf(ret, err, "%s/.cache/veneer", home);
	return vn_fail(err, VN_ENOTFOUND, "none of VENEER_CACHE_DIR, XDG_CACHE_HOME and HOME is set");
}

static int claim_dir(const char *dir, struct vn_err *err)
{
	struct stat st;
	VN_AUTO_FREE char *tmp = NULL;
	int rc = vn_fs_mkdirs(dir, 0700, err);
	if (rc < 0)
		return rc;
	if (stat(dir, &st) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot look at %s", dir);
	if (st.st_uid != geteuid())
		return vn_fail(err, VN_EIO, "%s belongs to user %lu", dir, (unsigned long)st.st_uid);
	if ((st.st_mode & 077) && chmod(dir, 0700) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot close %s to other users", dir);
	rc = vn_asprintf(&tmp, err, "%s/tmp", dir);
	if (rc < 0)
		return rc;
	if (mkdir(tmp, 0700) < 0 && errno != EEXIST)
		return vn_fail_sys(err, VN_EIO, "cannot create %s", tmp);
	if (access(tmp, W_OK | X_OK) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot write in %s", tmp);
	return 0;
}

static uint64_t wanted_max(const struct vn_events *events)
{
	uint64_t max;
	const char *text = getenv("VENEER_CACHE_SIZE");
	if (!text || !*text)
		return DEFAULT_MAX;
	if (vn_parse_size(text, &max))
		return max;
	vn_warn(events, "VENEER_CACHE_SIZE=%.60s is not a size such as 5G; 20 GB is used", text);
	return DEFAULT_MAX;
}

/* Removes what killed runs left in tmp/. */
static void collect_leftovers(const char *dir)
{
	char path[4096];
	struct stat st;
	if (snprintf(path, sizeof(path), "%s/tmp", dir) >= (int)sizeof(path))
		return;
	DIR *d = opendir(path);
	bool alone = d && flock(dirfd(d), LOCK_EX | LOCK_NB) == 0;
	for (const struct dirent *e; alone && (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		VN_AUTO_CLOSE int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

int vn_cache_open(const char *dir, uint64_t max, const struct vn_events *events, struct vn_cache **ret, struct vn_err *err)
{
	struct vn_cache *c = calloc(1, sizeof(*c));
	if (!c)
		return vn_nomem(err);
	pthread_mutex_init(&c->lock, NULL);
	c->events = events;
	c->max = max ? max : wanted_max(events);
	struct vn_err why = { 0 };
	VN_AUTO_FREE char *path = NULL;
	int rc = dir ? vn_strdup(dir, &path, &why) : default_dir(&path, &why);
	if (rc == 0 && c->max)
		rc = claim_dir(path, &why);
	if (rc == -VN_ENOMEM) {
		vn_cache_close(c);
		return vn_nomem(err);
	}
	if (rc < 0) {
		warn_once(c, why.text);
	} else if (c->max) {
		collect_leftovers(path);
		c->dir = vn_steal(path);
	}
	*ret = c;
	return 0;
}

void vn_cache_close(struct vn_cache *cache)
{
	if (!cache)
		return;
	pthread_mutex_destroy(&cache->lock);
	free(cache->dir);
	free(cache);
}

/* ---- names: letters, digits and "-_.:+", no leading dot */
static bool name_fine(const char *name)
{
	size_t n = strlen(name);
	return n > 0 && n <= 200 && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+") == n;
}

static int path_of(const struct vn_cache *c, const char *kind, const char *key, char **ret, struct vn_err *err)
{
	if (!name_fine(kind) || !strcmp(kind, "tmp") || !name_fine(key))
		return vn_fail(err, VN_EUSAGE, "\"%s/%s\" cannot name a file of the cache", kind, key);
	return vn_asprintf(ret, err, "%s/%s/%s", c->dir, kind, key);
}

int vn_cache_get(struct vn_cache *cache, const char *kind, const char *key)
{
	struct vn_err ignored = { 0 };
	struct stat st;
	VN_AUTO_FREE char *path = NULL;
	if (!cache || !cache->dir || path_of(cache, kind, key, &path, &ignored) < 0)
		return -1;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -1;
	}
	flock(fd, LOCK_SH | LOCK_NB);
	futimens(fd, NULL);
	return fd;
}

int vn_cache_begin(struct vn_cache *cache, const char *kind, struct vn_tmp *tmp, struct vn_err *err)
{
	struct vn_err why = { 0 };
	VN_AUTO_FREE char *dir = NULL;
	if (!cache || !cache->dir || !name_fine(kind))
		return 0;
	if (vn_asprintf(&dir, err, "%s/tmp", cache->dir) < 0)
		return -(int)err->code;
	VN_AUTO_CLOSE int lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock >= 0)
		flock(lock, LOCK_SH);
	if (vn_tmp_open(tmp, dir, &why) < 0) {
		*tmp = (struct vn_tmp)VN_TMP;
		warn_once(cache, why.text);
		return 0;
	}
	flock(tmp->fd, LOCK_EX | LOCK_NB);
	return 0;
}

/* ---- eviction */
struct kept {
	char *path;
	uint64_t size;
	struct timespec used;
};
struct kept_list {
	struct kept *at;
	size_t n, cap;
	uint64_t total;
};

static void kept_list_release(struct kept_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->at[i].path);
	free(list->at);
}

static int list_kind(const char *dir, const char *kind, struct kept_list *list, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	struct stat st;
	int rc = vn_asprintf(&path, err, "%s/%s", dir, kind);
	if (rc < 0)
		return rc;
	DIR *d = opendir(path);
	if (!d)
		return 0;
	for (const struct dirent *e; rc == 0 && (e = readdir(d));) {
		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		rc = vn_grow(&list->at, &list->cap, list->n + 1, sizeof(*list->at), err);
		if (rc < 0)
			break;
		struct kept *k = &list->at[list->n];
		*k = (struct kept){ NULL, (uint64_t)st.st_size, st.st_mtim };
		rc = vn_asprintf(&k->path, err, "%s/%s", path, e->d_name);
		if (rc == 0) {
			list->n++;
			list->total += k->size;
		}
	}
	closedir(d);
	return rc;
}

static int list_all(const char *dir, struct kept_list *list, struct vn_err *err)
{
	int rc = 0;
	DIR *d = opendir(dir);
	if (!d)
		return 0;
	for (const struct dirent *e; rc == 0 && (e = readdir(d));)
		if (name_fine(e->d_name) && strcmp(e->d_name, "tmp"))
			rc = list_kind(dir, e->d_name, list, err);
	closedir(d);
	return rc;
}

static int by_use(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;
	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
	if (x->used.tv_nsec != y->used.tv_nsec)
		return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* Least recently used first, down to nine tenths of the maximum, so that not every commit evicts. */
static uint64_t evict(struct kept_list *list, uint64_t max, const char *spare)
{
	uint64_t total = list->total;
	if (total <= max)
		return total;
	qsort(list->at, list->n, sizeof(*list->at), by_use);
	for (size_t i = 0; i < list->n && total > max - max / 10; i++) {
		if (!strcmp(list->at[i].path, spare))
			continue;
		VN_AUTO_CLOSE int fd = open(list->at[i].path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlink(list->at[i].path) == 0)
			total -= list->at[i].size;
	}
	return total;
}

/* With cache->lock held: `size` bytes were added as `path`. */
static void account(struct vn_cache *c, const char *path, uint64_t size)
{
	struct vn_err ignored = { 0 };
	c->total += size;
	if (c->counted && c->total <= c->max)
		return;
	VN_AUTO_FREE char *name = NULL;
	if (vn_asprintf(&name, &ignored, "%s/lock", c->dir) < 0)
		return;
	VN_AUTO_CLOSE int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return;
	VN_AUTO(kept_list) list = { 0 };
	if (list_all(c->dir, &list, &ignored) < 0)
		return;
	c->total = evict(&list, c->max, path);
	c->counted = true;
}

static int publish(struct vn_cache *c, const char *kind, const char *path, struct vn_tmp *tmp, struct vn_err *err)
{
	VN_AUTO_FREE char *dir = NULL;
	int rc = vn_asprintf(&dir, err, "%s/%s", c->dir, kind);
	if (rc < 0)
		return rc;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return vn_fail_sys(err, VN_EIO, "cannot create %s", dir);
	/* a blob is checked against its digest at each use: no need to wait for the disk */
	if (strcmp(kind, "blob"))
		return vn_tmp_publish(tmp, path, 0600, err);
	if (rename(tmp->path, path) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot put %s in its place", path);
	free(vn_steal(tmp->path));
	return 0;
}

int vn_cache_commit(struct vn_cache *cache, const char *kind, const char *key, struct vn_tmp *tmp, struct vn_err *err)
{
	struct vn_err why = { 0 };
	struct stat st;
	VN_AUTO_FREE char *path = NULL;
	if (!cache || !cache->dir || tmp->fd < 0 || !tmp->path)
		return 0;
	int rc = path_of(cache, kind, key, &path, err);
	if (rc < 0)
		return rc;
	if (fstat(tmp->fd, &st) < 0 || (uint64_t)st.st_size > cache->max)
		return 0;
	if (publish(cache, kind, path, tmp, &why) < 0) {
		warn_once(cache, why.text);
		return 0;
	}
	pthread_mutex_lock(&cache->lock);
	account(cache, path, (uint64_t)st.st_size);
	pthread_mutex_unlock(&cache->lock);
	return 0;
}

void vn_cache_drop(struct vn_cache *cache, const char *kind, const char *key)
{
	struct vn_err ignored = { 0 };
	VN_AUTO_FREE char *path = NULL;
	if (cache && cache->dir && path_of(cache, kind, key, &path, &ignored) == 0)
		unlink(path);
}

/* ---- the secret: whoever links it first wins, the others read it */
static bool read_secret(const char *path, uint8_t ret[16])
{
	struct vn_err ignored = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(64);
	if (vn_fs_read(path, &bytes, &ignored) < 0)
		return false;
	if (bytes.len != 16) {
		unlink(path);
		return false;
	}
	memcpy(ret, bytes.data, 16);
	return true;
}

static bool keep_secret(struct vn_cache *c, const char *path, uint8_t secret[16])
{
	struct vn_err ignored = { 0 };
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	if (vn_cache_begin(c, "secret", &tmp, &ignored) < 0 || tmp.fd < 0)
		return false;
	if (vn_fs_write(tmp.fd, secret, 16, path, &ignored) < 0 || fsync(tmp.fd) < 0)
		return false;
	if (link(tmp.path, path) == 0)
		return true;
	return errno == EEXIST && read_secret(path, secret);
}

int vn_cache_secret(struct vn_cache *cache, uint8_t ret[16], struct vn_err *err)
{
	struct vn_err ignored = { 0 };
	VN_AUTO_FREE char *path = NULL;
	uint8_t secret[16];
	pthread_mutex_lock(&cache->lock);
	bool has = cache->has_secret;
	memcpy(secret, cache->secret, 16);
	pthread_mutex_unlock(&cache->lock);
	if (!has) {
		int rc = vn_random(secret, 16, err);
		if (rc < 0)
			return rc;
		if (cache->dir && vn_asprintf(&path, &ignored, "%s/secret", cache->dir) == 0 && !read_secret(path, secret))
			keep_secret(cache, path, secret);
		pthread_mutex_lock(&cache->lock);
		if (cache->has_secret)
			memcpy(secret, cache->secret, 16);
		memcpy(cache->secret, secret, 16);
		cache->has_secret = true;
		pthread_mutex_unlock(&cache->lock);
	}
	memcpy(ret, secret, 16);
	return 0;
}
