/* The operations on deltas: two files or two images, and the result as everybody gets it. */
#include "api/delta.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/num.h"
#include <stdlib.h>
#include <string.h>

int vn_delta_run_text(struct vn_delta_run *run, const char *value, const char **ret, struct vn_err *err)
{
	const char *copy = vn_arena_text(&run->arena, value ? value : "", err);
	if (!copy)
		return -(int)err->code;
	*ret = copy;
	return 0;
}

int vn_delta_run_item(struct vn_delta_run *run, struct vn_delta_item **ret, struct vn_err *err)
{
	size_t n = run->result.nitems;
	int r = vn_grow(&run->items, &run->cap, n + 1, sizeof(*run->items), err);
	if (r < 0)
		return r;
	struct vn_delta_item *item = &run->items[n];
	memset(item, 0, sizeof(*item));
	item->platform = item->old_name = item->new_name = item->old_digest = item->new_digest = "";
	item->reference = item->digest = item->relation = item->reason = "";
	item->format = "veneer";
	run->result.items = run->items;
	run->result.nitems = n + 1;
	*ret = item;
	return 0;
}

#define LEAST_WEIGHTS 1024            /* bytes; smaller files tell nothing */

/* What the weights of NEW have to do with those of OLD, as the methods' shares tell it: differences that are hardly smaller than
 * what they describe say nothing. */
static const char *relation(const struct vn_delta_stats *stats, uint64_t new_size)
{
	uint64_t alone = stats->mode[VN_DELTA_RAW].plain + stats->mode[VN_DELTA_PLANES].plain, moved = 0;
	for (unsigned i = VN_DELTA_PLANES + 1; i < VN_DELTA_MODES; i++)
		*(stats->mode[i].packed > stats->mode[i].plain / 5 * 4 ? &alone : &moved) += stats->mode[i].plain;
	if (new_size < LEAST_WEIGHTS)
		return "";
	if (stats->size < new_size / 200 || stats->mode[VN_DELTA_COPY].plain == new_size)
		return "same weights";
	if (alone >= new_size - new_size / 2)
		return "unrelated";
	return moved >= new_size / 10 ? "fine-tuned" : "";
}

int vn_delta_run_methods(struct vn_delta_run *run, const struct vn_delta_stats *stats, struct vn_delta_item *item,
			 struct vn_err *err)
{
	struct vn_delta_method *list = vn_arena_take(&run->arena, VN_DELTA_MODES * sizeof(*list), err);
	uint64_t plain = 0;
	size_t n = 0;
	if (!list)
		return -(int)err->code;
	for (size_t i = 0; i < VN_DELTA_MODES; i++) {
		if (!stats->mode[i].blocks)
			continue;
		list[n++] = (struct vn_delta_method){ vn_delta_mode_name((unsigned)i), stats->mode[i].blocks,
						      stats->mode[i].plain, stats->mode[i].packed };
		plain += stats->mode[i].plain;
	}
	item->methods = list;
	item->nmethods = n;
	item->relation = relation(stats, plain);
	return 0;
}

int vn_delta_run_fetches(struct vn_delta_run *run, uint64_t size, uint64_t full, struct vn_err *err)
{
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT], times[VN_TIMES_TEXT];
	run->result.sentence = vn_arena_printf(&run->arena, err, "A device fetches %s instead of %s%s.", vn_size_text(size, a),
					       vn_size_text(full, b), vn_times_text(full, size, times));
	return run->result.sentence ? 0 : -(int)err->code;
}

/* ---- the operations */

static int open_run(const char *verb, const struct vn_delta_settings *given, struct vn_delta_settings *settings,
		    struct vn_delta_run **ret, struct vn_err *err)
{
	int r = vn_take_options(settings, sizeof(*settings), given, "struct vn_delta_settings", err);
	if (r == 0 && settings->files && settings->images)
		r = vn_fail(err, VN_EUSAGE, "OLD and NEW are either files or images, not both");
	if (r == 0 && (settings->effort < 0 || settings->effort > 3))
		r = vn_fail(err, VN_EUSAGE, "the effort is 1, 2 or 3, not %d", settings->effort);
	if (r == 0 && settings->interop > 2)
		r = vn_fail(err, VN_EUSAGE, "tar-diff has the versions 1 and 2, not %u", settings->interop);
	if (r < 0)
		return r;
	struct vn_delta_run *run = calloc(1, sizeof(*run));
	if (!run)
		return vn_nomem(err);
	run->result.verb = verb;
	run->result.target = run->result.sentence = "";
	*ret = run;
	return 0;
}

static void free_run(struct vn_delta_run **run)
{
	vn_delta_free(*run);
}
#define AUTO_RUN VN_CLEANUP(free_run) struct vn_delta_run

/* As they were typed, whatever they were found to be. */
static int name_all(struct vn_delta_run *run, const char *old_ref, const char *new_ref, const char *delta_ref, struct vn_err *err)
{
	struct vn_delta_item *item = run->items;
	int r = 0;
	if (old_ref)
		r = vn_delta_run_text(run, old_ref, &item->old_name, err);
	if (r == 0 && new_ref)
		r = vn_delta_run_text(run, new_ref, &item->new_name, err);
	return r < 0 || !delta_ref ? r : vn_delta_run_text(run, delta_ref, &item->reference, err);
}

/* The result is handed out when there is one: also a refusal that has something to show. */
static int close_run(int r, struct vn_delta_run **run, struct vn_delta_run **ret)
{
	if (r == 0 || (r == -VN_EREFUSED && (*run)->stays))
		*ret = vn_steal(*run);
	return r;
}

/* Both files, or both images. */
static int same_kind(const struct vn_delta_name *a, const char *a_role, const struct vn_delta_name *b, const char *b_role,
		     struct vn_err *err)
{
	bool file = a->kind != VN_NAMES_IMAGE;
	if (file == (b->kind != VN_NAMES_IMAGE))
		return 0;
	vn_fail(err, VN_EUSAGE, "%s %s is %s, and %s %s is %s", a_role, a->text, file ? "a file" : "an image", b_role, b->text,
		file ? "an image" : "a file");
	return vn_hint(err, "A delta goes from a file to a file, or from an image to an image; --files takes archives of images as "
			    "plain files.");
}

int vn_delta_make_run(struct vn *vn, const char *old_ref, const char *new_ref, const char *dest,
		      const struct vn_delta_settings *given, struct vn_delta_run **ret, struct vn_err *err)
{
	struct vn_delta_settings settings;
	VN_AUTO(vn_delta_name) old = { 0 }, new = { 0 };
	AUTO_RUN *run = NULL;
	int r = open_run("make", given, &settings, &run, err);
	if (r == 0)
		r = vn_delta_name_open(old_ref, "OLD", &settings, &old, err);
	if (r == 0)
		r = vn_delta_name_open(new_ref, "NEW", &settings, &new, err);
	if (r == 0)
		r = same_kind(&old, "OLD", &new, "NEW", err);
	if (r < 0)
		return r;
	if (old.kind != VN_NAMES_IMAGE && settings.interop)
		return vn_fail(err, VN_EUSAGE, "--interop is about the layers of images, and %s is a file", old.text);
	if (old.kind == VN_NAMES_IMAGE)
		r = vn_delta_images_make(vn, old.text, new.text, dest, &settings, run, err);
	else
		r = vn_delta_files_make(vn, old.text, new.text, dest, &settings, run, err);
	if (r == 0)
		r = name_all(run, old_ref, new_ref, NULL, err);
	return close_run(r, &run, ret);
}

int vn_delta_show_run(struct vn *vn, const char *ref, const struct vn_delta_settings *given, struct vn_delta_run **ret,
		      struct vn_err *err)
{
	struct vn_delta_settings settings;
	VN_AUTO(vn_delta_name) name = { 0 };
	AUTO_RUN *run = NULL;
	int r = open_run("show", given, &settings, &run, err);
	if (r == 0)
		r = vn_delta_name_open(ref, "DELTA", &settings, &name, err);
	if (r < 0)
		return r;
	if (name.kind == VN_NAMES_IMAGE)
		r = vn_delta_images_show(vn, name.text, run, err);
	else
		r = vn_delta_files_show(vn, name.text, run, err);
	if (r == 0 && !*run->result.target)
		r = name_all(run, NULL, NULL, ref, err);
	return close_run(r, &run, ret);
}

int vn_delta_apply_run(struct vn *vn, const char *old_ref, const char *delta_ref, const char *dest,
		       const struct vn_delta_settings *given, struct vn_delta_run **ret, struct vn_err *err)
{
	struct vn_delta_settings settings;
	VN_AUTO(vn_delta_name) old = { 0 }, delta = { 0 };
	AUTO_RUN *run = NULL;
	int r = open_run("apply", given, &settings, &run, err);
	if (r == 0)
		r = vn_delta_name_open(delta_ref, "DELTA", &settings, &delta, err);
	/* a delta of files says that OLD is a file, whatever OLD looks like inside */
	settings.files = settings.files || (delta.kind == VN_NAMES_DELTA && !settings.images && vn_fs_exists(old_ref));
	if (r == 0)
		r = vn_delta_name_open(old_ref, "OLD", &settings, &old, err);
	bool tardiff = r == 0 && delta.kind == VN_NAMES_TARDIFF && old.kind == VN_NAMES_IMAGE;
	if (r == 0 && !tardiff)
		r = same_kind(&old, "OLD", &delta, "DELTA", err);
	if (r == 0 && settings.digest && !vn_digest_valid(settings.digest))
		r = vn_fail(err, VN_EUSAGE, "\"%s\" is no digest: expected sha256: and 64 lower-case hexadecimal digits",
			    settings.digest);
	if (r < 0)
		return r;
	if (tardiff)
		r = vn_delta_tardiff_apply(vn, old.text, delta.text, dest, &settings, run, err);
	else if (delta.kind == VN_NAMES_IMAGE)
		r = vn_delta_images_apply(vn, old.text, delta.text, dest, &settings, run, err);
	else
		r = vn_delta_files_apply(vn, old.text, delta.text, dest, &settings, run, err);
	if (r == 0)
		r = name_all(run, old_ref, NULL, delta_ref, err);
	return close_run(r, &run, ret);
}

int vn_delta_push_run(struct vn *vn, const char *const *from, size_t nfrom, const char *new_ref,
		      const struct vn_delta_settings *given, struct vn_delta_run **ret, struct vn_err *err)
{
	struct vn_delta_settings settings;
	AUTO_RUN *run = NULL;
	int r = open_run("push", given, &settings, &run, err);
	if (r == 0 && !nfrom) {
		vn_fail(err, VN_EUSAGE, "no OLD is named: deltas go from one or more releases to %s", new_ref);
		r = vn_hint(err, "--from names a release that devices hold.");
	}
	if (r == 0)
		r = vn_delta_images_push(vn, from, nfrom, new_ref, &settings, run, err);
	return close_run(r, &run, ret);
}

int vn_delta_push_made(struct vn *vn, const char *delta_ref, const char *repository, const struct vn_delta_settings *given,
		       struct vn_delta_run **ret, struct vn_err *err)
{
	struct vn_delta_settings settings;
	VN_AUTO(vn_delta_name) name = { 0 };
	AUTO_RUN *run = NULL;
	int r = open_run("push", given, &settings, &run, err);
	if (r == 0)
		r = vn_delta_name_open(delta_ref, "DELTA", &settings, &name, err);
	if (r == 0 && name.kind != VN_NAMES_IMAGE)
		r = vn_fail(err, VN_EUSAGE, "%s is no delta of images: only those are kept in registries", name.text);
	if (r == 0)
		r = vn_delta_images_push_made(vn, name.text, repository, run, err);
	return close_run(r, &run, ret);
}

const struct vn_delta_result *vn_delta_get(const struct vn_delta_run *run)
{
	return &run->result;
}

void vn_delta_free(struct vn_delta_run *run)
{
	if (!run)
		return;
	vn_arena_release(&run->arena);
	free(run->items);
	free(run);
}
