/* Deltas of two plain files. */
#include "api/delta.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "util/num.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* ---- files that are read */

struct file {
	const char *path;
	int fd;
	struct stat st;
	uint64_t size;
};

static void file_release(struct file *f)
{
	if (f->fd >= 0)
		close(f->fd);
}

static int file_open(const char *path, struct file *ret, struct vn_err *err)
{
	*ret = (struct file){ .path = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) };
	if (ret->fd < 0 || fstat(ret->fd, &ret->st) < 0)
		return vn_fail_sys(err, errno == ENOENT ? VN_ENOTFOUND : VN_EIO, "cannot read %s", path);
	if (!S_ISREG(ret->st.st_mode))
		return vn_fail(err, VN_EUSAGE, "%s is no regular file", path);
	if ((uint64_t)ret->st.st_size > VN_MAX_BLOB)
		return vn_fail(err, VN_ELIMIT, "%s has %llu bytes, at most %llu are allowed", path,
			       (unsigned long long)ret->st.st_size, (unsigned long long)VN_MAX_BLOB);
	ret->size = (uint64_t)ret->st.st_size;
	return 0;
}

/* A file in memory, backed by an unlinked copy that nobody else can cut short. */
struct mapped {
	const char *path;
	struct vn_tmp copy;
	void *data;
	size_t len;
	struct vn_digest digest;
};

static void mapped_release(struct mapped *m)
{
	if (m->len)
		munmap(m->data, m->len);
	vn_tmp_release(&m->copy);
}

static int copy_of(struct vn *vn, const struct file *f, struct mapped *m, uint64_t *ret_size, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	VN_AUTO_OUT *out = NULL;
	struct vn_in *raw = NULL;
	struct vn_out *plain = NULL;
	int r = vn_tmp_anonymous(&m->copy, err);
	if (r == 0)
		r = vn_in_fd(dup(f->fd), f->path, &raw, err);
	if (r == 0)
		r = vn_in_meter(raw, f->path, f->size, vn_listeners(vn), &in, err);
	if (r == 0)
		r = vn_out_fd(m->copy.fd, "a temporary copy", &plain, err);
	if (r == 0)
		r = vn_out_digest(plain, &m->digest, ret_size, &out, err);
	if (r == 0)
		r = vn_copy(in, out, NULL, err);
	if (r == 0)
		r = vn_out_finish(out, err);
	if (r == -VN_EIO)
		vn_hint(err, "Copies of both files are put into $TMPDIR while a delta is made.");
	return r;
}

static int file_map(struct vn *vn, const struct file *f, struct mapped *m, struct vn_err *err)
{
	uint64_t size = 0;
	m->path = f->path;
	int r = copy_of(vn, f, m, &size, err);
	if (r < 0 || size == 0)
		return r;
	if (size > SIZE_MAX / 2)
		return vn_fail(err, VN_ELIMIT, "%s has %llu bytes, more than this machine can look at", f->path,
			       (unsigned long long)size);
	void *data = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, m->copy.fd, 0);
	if (data == MAP_FAILED)
		return vn_fail_sys(err, VN_EIO, "cannot map %s", f->path);
	m->data = data;
	m->len = (size_t)size;
	return 0;
}

/* ---- the file that is written */

void vn_delta_target_release(struct vn_delta_target *t)
{
	vn_out_close(t->out);
	vn_tmp_release(&t->tmp);
}

int vn_delta_target_check(const char *path, const struct stat *not, const char *role, struct vn_err *err)
{
	struct stat st;
	if (stat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return vn_fail_sys(err, VN_EIO, "cannot write %s", path);
	}
	if (S_ISDIR(st.st_mode))
		return vn_fail(err, VN_EUSAGE, "cannot write %s: it is a folder", path);
	if (!S_ISREG(st.st_mode))
		return vn_fail(err, VN_EUSAGE, "cannot write %s: it is no regular file", path);
	if (st.st_dev == not->st_dev && st.st_ino == not->st_ino)
		return vn_fail(err, VN_EUSAGE, "%s is %s itself: it would be lost", path, role);
	return 0;
}

int vn_delta_target_open(const char *path, struct vn_delta_target *t, struct vn_err *err)
{
	VN_AUTO_FREE char *dir = NULL;
	struct vn_out *plain = NULL;
	int r = path ? vn_strdup(path, &dir, err) : 0;
	char *slash = dir ? strrchr(dir, '/') : NULL;
	if (slash)
		slash[slash == dir] = 0;
	t->path = path;
	if (r == 0)
		r = path ? vn_tmp_open(&t->tmp, slash ? dir : ".", err) : vn_tmp_anonymous(&t->tmp, err);
	if (r == 0)
		r = vn_out_fd(t->tmp.fd, path ? path : "a temporary file", &plain, err);
	return r < 0 ? r : vn_out_digest(plain, &t->digest, &t->size, &t->out, err);
}

int vn_delta_target_publish(struct vn_delta_target *t, struct vn_err *err)
{
	return t->path ? vn_tmp_publish(&t->tmp, t->path, 0644, err) : 0;
}

/* ---- a writer that forgets, for proofs */

static int forget(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	(void)out, (void)data, (void)len, (void)err;
	return 0;
}

static int forget_finish(struct vn_out *out, struct vn_err *err)
{
	(void)out, (void)err;
	return 0;
}

static void forget_close(struct vn_out *out)
{
	(void)out;
}

static const struct vn_out_ops forget_ops = { forget, forget_finish, forget_close };

/* ---- make */

static int read_head(int fd, const char *path, struct vn_delta_head *ret, struct vn_err *err)
{
	uint8_t raw[VN_DELTA_HEAD_MAX];
	ssize_t n = pread(fd, raw, sizeof(raw), 0);
	if (n < 0)
		return vn_fail_sys(err, VN_EIO, "cannot read %s", path);
	int r = vn_delta_head_parse(raw, (size_t)n, ret, err);
	return r < 0 ? vn_wrap(err, "%s", path) : 0;
}

/* What a device will do, with the delta that was just made. */
static int prove(const struct mapped *old, const struct vn_delta_target *delta, const struct vn_delta_settings *settings,
		 struct vn_err *err)
{
	struct vn_out nothing = { &forget_ops };
	struct vn_delta_apply_options how = { .memory = settings->target_memory ? settings->target_memory : VN_DELTA_MEMORY };
	struct vn_delta_bytes bytes;
	VN_AUTO_IN *in = NULL;
	vn_delta_old_bytes(&bytes, old->data, old->len);
	int r = vn_in_slice(delta->tmp.fd, 0, delta->size, "the delta", &in, err);
	if (r == 0)
		r = vn_delta_apply(&bytes.old, in, &nothing, &how, err);
	return r < 0 ? vn_wrap(err, "proving the delta") : 0;
}

static int fill_made(struct vn_delta_run *run, const struct file *old, const struct mapped *old_map, const struct file *new,
		     const struct mapped *new_map, const struct vn_delta_target *delta, const struct vn_delta_stats *stats,
		     struct vn_delta_item **ret, struct vn_err *err)
{
	struct vn_delta_head head;
	struct vn_delta_item *item;
	int r = vn_delta_run_item(run, &item, err);
	if (r == 0)
		r = vn_delta_run_text(run, old->path, &item->old_name, err);
	if (r == 0)
		r = vn_delta_run_text(run, new->path, &item->new_name, err);
	if (r == 0)
		r = vn_delta_run_text(run, old_map->digest.text, &item->old_digest, err);
	if (r == 0)
		r = vn_delta_run_text(run, new_map->digest.text, &item->new_digest, err);
	if (r == 0)
		r = vn_delta_run_text(run, delta->digest.text, &item->digest, err);
	if (r == 0)
		r = vn_delta_run_methods(run, stats, item, err);
	if (r == 0)
		r = read_head(delta->tmp.fd, "the delta", &head, err);
	if (r < 0)
		return r;
	item->old_size = old_map->len;
	item->new_size = item->full = new_map->len;
	item->size = delta->size;
	item->memory = vn_delta_memory(&head);
	*ret = item;
	return vn_delta_run_fetches(run, item->size, item->full, err);
}

/* The least that any decoder of this file takes. */
static uint64_t least_memory(uint64_t new_size)
{
	struct vn_delta_head head = { .new_size = new_size, .block_log2 = VN_DELTA_BLOCK_MIN };
	return vn_delta_memory(&head);
}

struct meter {
	struct vn *vn;
	const char *what;
	uint64_t total;
};

static void tell_coded(void *context, uint64_t done)
{
	const struct meter *m = context;
	vn_progress(vn_listeners(m->vn), m->what, done < m->total ? done : m->total, m->total);
}

static int tell_applied(void *context, const struct vn_delta_point *at, struct vn_err *err)
{
	(void)err;
	tell_coded(context, at->new_bytes);
	return 0;
}

static int encode(struct vn *vn, const struct mapped *old, const struct mapped *new, const struct vn_delta_settings *settings,
		  struct vn_delta_target *delta, struct vn_delta_stats *stats, struct vn_err *err)
{
	struct meter meter = { vn, "encoding", new->len };
	VN_AUTO_FREE struct vn_delta_hint *hints = NULL;
	struct vn_delta_options options = { .effort = settings->effort, .memory = settings->target_memory,
					    .progress = tell_coded, .context = &meter };
	int r = vn_delta_hints_make(old->path, old->data, old->len, new->path, new->data, new->len, &hints, &options.nhints, err);
	options.hints = hints;
	if (r == 0)
		r = vn_delta_make(old->data, old->len, new->data, new->len, &options, delta->out, stats, err);
	if (r == -VN_EUSAGE)
		vn_hint(err, "The least for this file is %llu bytes.", (unsigned long long)least_memory(new->len));
	if (r < 0)
		return r;
	vn_done(vn_listeners(vn), meter.what, new->len);
	return vn_out_finish(delta->out, err);
}

static int saves_nothing(struct vn_delta_run *run, struct vn_delta_item *item, struct vn_err *err)
{
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT];
	item->reason = VN_DELTA_SAVES_NOTHING;
	run->result.sentence = "";
	run->stays = true;
	vn_fail(err, VN_EREFUSED, "the delta saves nothing: it has %s, and %s has %s", vn_size_text(item->size, a), item->new_name,
		vn_size_text(item->full, b));
	return vn_hint(err, "Send the file itself; or go on with --larger.");
}

int vn_delta_files_make(struct vn *vn, const char *old_path, const char *new_path, const char *dest,
			const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err)
{
	VN_AUTO(file) old = { .fd = -1 }, new = { .fd = -1 };
	VN_AUTO(mapped) old_map = { .copy = VN_TMP }, new_map = { .copy = VN_TMP };
	VN_AUTO(vn_delta_target) delta = { .tmp = VN_TMP };
	struct vn_delta_stats stats;
	struct vn_delta_item *item;
	int r = file_open(old_path, &old, err);
	if (r == 0)
		r = file_open(new_path, &new, err);
	if (r == 0 && dest)
		r = vn_delta_target_check(dest, &old.st, "OLD", err);
	if (r == 0 && dest)
		r = vn_delta_target_check(dest, &new.st, "NEW", err);
	if (r == 0)
		r = vn_delta_target_open(dest, &delta, err);
	if (r == 0)
		r = file_map(vn, &old, &old_map, err);
	if (r == 0)
		r = file_map(vn, &new, &new_map, err);
	if (r == 0)
		r = encode(vn, &old_map, &new_map, settings, &delta, &stats, err);
	if (r == 0)
		r = prove(&old_map, &delta, settings, err);
	if (r == 0)
		r = fill_made(run, &old, &old_map, &new, &new_map, &delta, &stats, &item, err);
	if (r == 0 && item->size >= item->full && !settings->larger)
		return saves_nothing(run, item, err);
	if (r == 0)
		r = vn_delta_target_publish(&delta, err);
	if (r == 0)
		r = vn_delta_run_text(run, dest, &item->reference, err);
	if (r == 0)
		item->written = dest;
	return r;
}

/* ---- show */

static int hex_text(struct vn_delta_run *run, const uint8_t *bytes, size_t len, const char **ret, struct vn_err *err)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * VN_DELTA_NEW_DIGEST + 1] = { 0 };
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	*ret = vn_arena_printf(&run->arena, err, "sha256:%s", text);
	return *ret ? 0 : -(int)err->code;
}

static int fill_head(struct vn_delta_run *run, const struct vn_delta_head *head, const struct file *delta,
		     struct vn_delta_item **ret, struct vn_err *err)
{
	struct vn_delta_item *item;
	int r = vn_delta_run_item(run, &item, err);
	if (r == 0)
		r = vn_delta_run_text(run, delta->path, &item->reference, err);
	if (r == 0)
		r = hex_text(run, head->old_digest, sizeof(head->old_digest), &item->old_digest, err);
	if (r == 0)
		r = hex_text(run, head->new_digest, sizeof(head->new_digest), &item->new_digest, err);
	if (r < 0)
		return r;
	item->written = true;
	item->old_size = head->old_size;
	item->new_size = item->full = head->new_size;
	item->size = delta->size;
	item->memory = vn_delta_memory(head);
	*ret = item;
	return 0;
}

int vn_delta_files_show(struct vn *vn, const char *path, struct vn_delta_run *run, struct vn_err *err)
{
	VN_AUTO(file) delta = { .fd = -1 };
	VN_AUTO_IN *in = NULL;
	struct vn_delta_head head;
	struct vn_delta_item *item;
	int r = file_open(path, &delta, err);
	if (r == 0)
		r = read_head(delta.fd, path, &head, err);
	if (r == 0)
		r = fill_head(run, &head, &delta, &item, err);
	if (r == 0)
		r = vn_in_slice(delta.fd, 0, delta.size, path, &in, err);
	if (r < 0)
		return r;
	r = vn_delta_regions_of_file(run, in, delta.size, &head, item, err);
	if (r < 0)
		return vn_wrap(err, "%s", path);
	if (head.members)
		run->result.sentence = "What is compressed in the files is unpacked first: places and lengths are those after it.";
	(void)vn;
	return 0;
}

/* ---- apply */

struct old_file {
	struct vn_delta_old old;
	const struct file *file;
};

static int read_old(struct vn_delta_old *old, uint64_t offset, void *out, size_t len, struct vn_err *err)
{
	const struct file *f = ((struct old_file *)old)->file;
	return vn_fs_read_at(f->fd, offset, out, len, f->path, err);
}

/* Does it make what the caller wants? */
static int check_promise(struct vn_delta_run *run, const struct vn_delta_head *head, const char *want, const char *path,
			 struct vn_err *err)
{
	const char *made;
	int r = hex_text(run, head->new_digest, sizeof(head->new_digest), &made, err);
	if (r == 0 && strcmp(made, want))
		r = vn_fail(err, VN_EDIGEST, "%s makes %s, expected %s", path, made, want);
	return r;
}

static int fill_applied(struct vn_delta_run *run, const struct file *old, const struct vn_delta_head *head,
			const struct file *delta, const char *dest, struct vn_err *err)
{
	char a[VN_SIZE_TEXT];
	struct vn_delta_item *item;
	int r = fill_head(run, head, delta, &item, err);
	if (r == 0)
		r = vn_delta_run_text(run, old->path, &item->old_name, err);
	if (r == 0)
		r = vn_delta_run_text(run, dest, &item->new_name, err);
	if (r == 0)
		r = vn_delta_run_text(run, dest, &run->result.target, err);
	if (r < 0)
		return r;
	run->result.exact = true;
	run->result.sentence = vn_arena_printf(&run->arena, err, "%s, %s: every byte is what the delta promises.",
					       vn_size_text(head->new_size, a), dest ? "written" : "rebuilt and thrown away");
	return run->result.sentence ? 0 : -(int)err->code;
}

int vn_delta_files_apply(struct vn *vn, const char *old_path, const char *path, const char *dest,
			 const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err)
{
	VN_AUTO(file) old = { .fd = -1 }, delta = { .fd = -1 };
	VN_AUTO(vn_delta_target) out = { .tmp = VN_TMP };
	VN_AUTO_IN *in = NULL;
	struct vn_out nothing = { &forget_ops };
	struct meter meter = { vn, "rebuilding", 0 };
	struct vn_delta_apply_options how = { .memory = settings->max_memory, .progress = tell_applied, .context = &meter };
	struct vn_delta_head head;
	int r = file_open(old_path, &old, err);
	if (r == 0)
		r = file_open(path, &delta, err);
	if (r == 0 && dest)
		r = vn_delta_target_check(dest, &delta.st, "DELTA", err);
	if (r == 0)
		r = read_head(delta.fd, path, &head, err);
	if (r == 0 && settings->digest)
		r = check_promise(run, &head, settings->digest, path, err);
	if (r == 0 && dest)
		r = vn_delta_target_open(dest, &out, err);
	if (r == 0)
		r = vn_in_slice(delta.fd, 0, delta.size, path, &in, err);
	if (r < 0)
		return r;
	struct old_file reader = { { read_old, old.size }, &old };
	meter.total = head.new_size;
	r = vn_delta_apply(&reader.old, in, dest ? out.out : &nothing, &how, err);
	if (r == -VN_ELIMIT && vn_delta_memory(&head) > (how.memory ? how.memory : VN_MAX_DELTA_MEMORY))
		vn_hint(err, "--max-memory allows more; a delta for less is made with --target-memory.");
	if (r < 0)
		return vn_wrap(err, "applying %s to %s", path, old_path);
	vn_done(vn_listeners(vn), meter.what, head.new_size);
	if (dest)
		r = vn_out_finish(out.out, err);
	if (r == 0 && dest)
		r = vn_delta_target_publish(&out, err);
	return r < 0 ? r : fill_applied(run, &old, &head, &delta, dest, err);
}
