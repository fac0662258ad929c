/* One poll, and the update that it leads to; from the registry or from a file. */
#include "pull/news.h"
#include "pull/pull.h"
#include "pull/shelf.h"
#include "store/store.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int open_registry(struct vn_pull *p, struct vn_source **ret, struct vn_err *err)
{
	const struct vn_registry_options o = { .authfile = p->config.authfile, .cacert = p->config.cacert,
					       .plain_http = p->config.plain_http, .insecure = p->config.insecure,
					       .memory = p->memory, .frugal = true, .wire = &p->wire };
	return vn_registry_source_open(&p->ref, &o, vn_pull_events(p), ret, err);
}

static int is_current(struct vn_pull *p, struct vn_err *err)
{
	char called[200];
	p->journal.waits[0] = 0;
	int r = p->journal.update.step != VN_STEP_IDLE && !p->dry_run ? vn_pull_drop_update(p, err) : 0;
	const struct vn_release *active = vn_journal_active(&p->journal);
	if (r < 0)
		return r;
	p->report.outcome = VN_PULL_CURRENT;
	p->report.digest = vn_arena_text(&p->report_arena, active->manifest.text, err);
	if (!p->report.digest)
		return -(int)err->code;
	return vn_pull_say(p, err, "%s runs, and is what %s names.", vn_pull_called(active, called), p->public_name);
}

int vn_pull_say_updated(struct vn_pull *p, const struct vn_digest *before, bool came, struct vn_err *err)
{
	const struct vn_release *r = vn_journal_active(&p->journal);
	char called[200], size[VN_SIZE_TEXT], how[VN_SIZE_TEXT + 60] = "it was held here";
	if (!r)
		return vn_fail(err, VN_EIO, "no release is active after the update");
	p->report.outcome = p->config.staged ? VN_PULL_STAGED : VN_PULL_UPDATED;
	p->report.digest = vn_arena_text(&p->report_arena, r->manifest.text, err);
	p->report.previous = vn_arena_text(&p->report_arena, before->text, err);
	if (!p->report.digest || !p->report.previous)
		return -(int)err->code;
	if (came && !strcmp(r->how, "import"))
		snprintf(how, sizeof(how), "from a file");
	else if (came)
		snprintf(how, sizeof(how), "%s, %s on the wire", r->how, vn_size_text(r->bytes, size));
	return vn_pull_say(p, err, "%s %s (%s).", vn_pull_called(r, called),
			   p->config.staged ? "is in place; the next start runs it" : "runs", how);
}

/* An update that lies on the shelf is brought to its end without asking anybody. */
static int finish_begun(struct vn_pull *p, struct vn_err *err)
{
	const struct vn_digest before = p->journal.active;
	int r = vn_pull_hand_over(p, err);
	return r < 0 ? r : vn_pull_say_updated(p, &before, true, err);
}

/* A new target begins with an empty staging folder. */
static int aim(struct vn_pull *p, struct vn_news *n, struct vn_err *err)
{
	struct vn_update *u = &p->journal.update;
	if (p->dry_run || (u->step != VN_STEP_IDLE && vn_digest_equal(&u->release.channel, &n->root.digest)))
		return 0;
	int r = vn_pull_drop_update(p, err);
	u->release.channel = n->root.digest;
	return r;
}

/* PLANNED, then FETCHING: what it is and what it takes is written down before a byte of it comes. 1: it waits. */
static int plan(struct vn_pull *p, struct vn_news *n, struct vn_err *err)
{
	struct vn_update *u = &p->journal.update;
	bool again = u->step != VN_STEP_IDLE;
	u->release.manifest = n->target.digest;
	u->release.counter = n->proof.has_release ? n->proof.release : 0;
	u->from = n->has_delta ? n->delta.source : (struct vn_digest){ "" };
	u->import = n->import;
	snprintf(u->key, sizeof(u->key), "%s", n->proof.key_id);
	snprintf(u->release.proof, sizeof(u->release.proof), "%s", p->keys ? "found" : "");
	u->expires = n->proof.has_expires ? n->proof.expires : 0;
	u->need = n->need;
	vn_pull_private_name(p, &n->target.digest, u->release.name);
	u->have = vn_staging_bytes(p->staging);
	int r = n->import ? 0 : vn_pull_reserve(p, n->need > u->have ? n->need - u->have : 0, u->before, err);
	if (r != 0)
		return r;
	if (!again) {
		u->step = VN_STEP_PLANNED;
		r = vn_pull_save(p, err);
		if (r == 0)
			vn_pull_tell(p, "planned", &u->release, n->has_delta ? "delta" : "full", n->need);
	}
	if (r < 0)
		return r;
	u->step = VN_STEP_FETCHING;
	r = vn_pull_save(p, err);
	if (r == 0)
		vn_pull_tell(p, "fetching", &u->release, n->has_delta ? "delta" : "full", n->need);
	return r;
}

/* Of a file that holds nothing else; there is no image to take instead. */
static int delta_alone_is_bad(struct vn_pull *p, const struct vn_news *n, struct vn_err *err)
{
	const struct vn_release *active = vn_journal_active(&p->journal);
	char called[200];
	if (active && vn_digest_equal(&active->manifest, &n->delta.source))
		return vn_wrap(err, "the delta in the file");
	vn_fail(err, VN_EREFUSED, "the file holds a delta that starts from %.19s, and %s runs here", n->delta.source.text,
		active ? vn_pull_called(active, called) : "nothing");
	return vn_hint(err, "A file with the whole image works on every device.");
}

/* A delta that does not do costs bytes and never correctness. */
static int fetch(struct vn_pull *p, struct vn_news *n, struct vn_err *err)
{
	bool delta = n->has_delta;
	int r = plan(p, n, err);
	if (r == 0)
		r = vn_news_fetch(p, n, err);
	if (!delta || !vn_pull_is_damage(r))
		return r;
	if (n->alone)
		return delta_alone_is_bad(p, n, err);
	vn_warn(vn_pull_events(p), "the delta does not do, so the image itself is fetched: %s", err->text);
	*err = (struct vn_err){ 0 };
	p->journal.update.delta_failed = true;
	vn_ocidelta_release(&n->delta);
	n->has_delta = false;
	r = vn_news_find(p, n, err);
	if (r == 0)
		r = plan(p, n, err);
	return r == 0 ? vn_news_fetch(p, n, err) : r;
}

/* What runs has been proved, maybe with a higher counter than when it came. */
static void prove_running(struct vn_pull *p, struct vn_release *active, const struct vn_signed *proof)
{
	if (!p->keys)
		return;
	snprintf(active->proof, sizeof(active->proof), "found");
	if (!proof->has_release)
		return;
	active->counter = proof->release;
	if (proof->release > p->journal.counter)
		p->journal.counter = proof->release;
}

/* The image under another manifest: nothing is to be fetched. */
static int same_image(struct vn_pull *p, struct vn_news *n, bool *ret, struct vn_err *err)
{
	struct vn_release *active = vn_journal_active(&p->journal);
	VN_AUTO(vn_image) image = { 0 };
	*ret = false;
	/* a layout's name stands for a manifest, an engine's for an image */
	if (!active || n->has_delta || !p->engine->ops->files || vn_digest_equal(&active->manifest, &n->target.digest))
		return 0;
	int r = vn_image_open_child(n->staged, &n->target, NULL, &image, err);
	if (r < 0)
		return r;
	*ret = vn_digest_equal(&image.manifest.config.digest, &active->image);
	if (!*ret || p->dry_run)
		return 0;
	struct vn_digest put;
	r = vn_shelf_put(p->shelf, vn_buf_text(&image.config_bytes), image.config_bytes.len, &put, err);
	if (r == 0)
		r = vn_shelf_put(p->shelf, vn_buf_text(&image.manifest_bytes), image.manifest_bytes.len, &put, err);
	if (r < 0)
		return r;
	prove_running(p, active, &n->proof);
	if (vn_digest_equal(&p->journal.trial, &active->manifest))
		p->journal.trial = image.desc.digest;
	active->manifest = image.desc.digest;
	active->channel = n->root.digest;
	active->layers = active->base = image.nlayers;
	p->journal.active = active->manifest;
	return vn_pull_pin_base(p, &image, vn_pull_base_layers(&image), err);
}

/* What would happen. */
static int say_plan(struct vn_pull *p, const struct vn_news *n, bool held, struct vn_err *err)
{
	char size[VN_SIZE_TEXT];
	p->report.outcome = VN_PULL_WAITS;
	p->report.dry_run = true;
	if (held)
		return vn_pull_say(p, err, "%s names %.19s: it is held here, and nothing would be fetched.", p->public_name,
				   n->target.digest.text);
	return vn_pull_say(p, err, "%s names %.19s: %s would be fetched, %s.", p->public_name, n->target.digest.text,
			   vn_size_text(n->need, size), n->has_delta ? "a delta against what runs" : "layers that the engine lacks");
}

/* The target, when this device holds it whole; else *ret is NULL and it is fetched. */
static int find_held(struct vn_pull *p, const struct vn_news *n, struct vn_release **ret, struct vn_err *err)
{
	struct vn_release *held = vn_journal_release(&p->journal, &n->target.digest);
	struct vn_err why = { 0 };
	int r = held ? vn_pull_whole(p, held, &why) : 0;
	*ret = r == 0 ? held : NULL;
	if (r < 0 && !vn_pull_is_damage(r)) {
		*err = why;
		return r;
	}
	if (r < 0)
		vn_warn(vn_pull_events(p), "what is held is not whole and is fetched again: %s", why.text);
	return 0;
}

/* The tag names what this device held anyway. */
static int take_held(struct vn_pull *p, const struct vn_news *n, struct vn_release *held, struct vn_err *err)
{
	const struct vn_digest before = p->journal.active;
	held->channel = n->root.digest;
	if (n->proof.has_release)
		held->counter = n->proof.release;
	if (vn_digest_equal(&held->manifest, &before)) {
		prove_running(p, held, &n->proof);
		return is_current(p, err);
	}
	if (p->dry_run)
		return say_plan(p, n, true, err);
	const struct vn_update *u = &p->journal.update;
	if (u->step != VN_STEP_IDLE && !vn_digest_equal(&u->release.manifest, &n->target.digest) && vn_pull_drop_update(p, err) < 0)
		return -(int)err->code;
	int r = vn_pull_activate(p, &n->target.digest, vn_pull_active_event(p), err);
	return r < 0 ? r : vn_pull_say_updated(p, &before, false, err);
}

static int leave_alone(struct vn_pull *p, struct vn_err *err)
{
	p->report.outcome = VN_PULL_REFUSED_BEFORE;
	snprintf(p->journal.waits, sizeof(p->journal.waits), "what %.180s names was refused here before", p->public_name);
	return vn_pull_say(p, err, "%s names what was refused or rolled back here before; it is left alone.", p->public_name);
}

/* There is news, and nothing has been decided about it. */
static int take_news(struct vn_pull *p, struct vn_news *n, struct vn_err *err)
{
	const struct vn_digest before = p->journal.active;
	bool same = false;
	struct vn_release *held = NULL;
	int r = vn_news_prove(p, n, err);
	/* under another index, or another tag */
	if (r == 0 && !p->now && vn_journal_is_wanting(&p->journal, &n->target.digest)) {
		if (!n->import)
			p->journal.refused = n->root.digest;
		return leave_alone(p, err);
	}
	if (r == 0)
		r = find_held(p, n, &held, err);
	if (r < 0)
		return r;
	if (held)
		return take_held(p, n, held, err);
	/* before anything that is under way is given up for it */
	r = n->alone ? vn_news_fits(p, n, err) : 0;
	if (n->alone && vn_pull_is_damage(r))
		return delta_alone_is_bad(p, n, err);
	if (r == 0)
		r = aim(p, n, err);
	if (r == 0)
		r = vn_news_find(p, n, err);
	if (r == 0)
		r = same_image(p, n, &same, err);
	if (r == 0 && same)
		return is_current(p, err);
	if (r == 0 && p->dry_run)
		return say_plan(p, n, false, err);
	if (r == 0)
		r = fetch(p, n, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = vn_pull_hand_over(p, err);
	return r < 0 ? r : vn_pull_say_updated(p, &before, true, err);
}

/* An order to ask now also mends what runs when a part of it is gone. */
static bool to_mend(struct vn_pull *p, const struct vn_release *active)
{
	struct vn_err why = { 0 };
	return p->now && !p->journal.pinned && vn_pull_is_damage(vn_pull_whole(p, active, &why));
}

/* What runs may have come before keys were asked for: once, and whenever that is ordered, its signature is looked at for the counter that
 * later releases must have. */
static int learn_counter(struct vn_pull *p, const struct vn_news *n, struct vn_release *active, struct vn_err *err)
{
	struct vn_signed proof;
	struct vn_err why = { 0 };
	char called[200];
	if (!p->keys || (*active->proof && !p->now))
		return 0;
	int r = vn_signed_by(n->channel, &n->root.digest, p->keys, vn_pull_time(p), 0, &proof, &why);
	if (r < 0 && r != -VN_EREFUSED) {
		*err = why;
		return r;
	}
	if (r == 0)
		prove_running(p, active, &proof);
	else
		vn_warn(vn_pull_events(p), "%s runs, and is not signed with a key that is trusted: %s", vn_pull_called(active, called),
			why.text);
	/* a file says nothing of what the registry has */
	if (r < 0 && !n->import && !*active->proof)
		snprintf(active->proof, sizeof(active->proof), "missing");
	return 0;
}

static int decide(struct vn_pull *p, struct vn_news *n, struct vn_err *err)
{
	struct vn_release *active = vn_journal_active(&p->journal);
	/* what a file holds says nothing of what the reference names */
	if (!n->import)
		p->journal.asked = n->root.digest;
	if (!n->import && !vn_digest_equal(&p->journal.refused, &n->root.digest))
		p->journal.refused = (struct vn_digest){ "" };
	if (active && vn_digest_equal(&active->channel, &n->root.digest) && !to_mend(p, active)) {
		int r = learn_counter(p, n, active, err);
		return r < 0 ? r : is_current(p, err);
	}
	if (p->journal.pinned)
		return vn_pull_waits(p, err, "this device is pinned to what runs");
	/* an order to leave it was one for what was left for; without that it is void */
	bool left = vn_digest_equal(&p->journal.refused, &n->root.digest) && (active || !p->journal.refused_by_order);
	if (left && !p->now)
		return leave_alone(p, err);
	return take_news(p, n, err);
}

/* `channel` is owned. */
static int poll_channel(struct vn_pull *p, struct vn_source *channel, bool import, struct vn_err *err)
{
	VN_AUTO(vn_news) n = { .channel = channel, .import = import };
	bool retagged = vn_pull_is_retagged(p);
	int r = retagged ? 0 : vn_pull_adopt(p, channel, err);
	if (r == 0)
		r = vn_news_ask(p, &n, err);
	if (r < 0)
		return r;
	if (!import)
		p->journal.last_poll = vn_pull_time(p);
	if (!import && vn_pull_clock() >= VN_CLOCK_SET)
		p->journal.latest = p->journal.last_poll;
	/* another tag is followed from the moment on that there is one */
	snprintf(p->journal.reference, sizeof(p->journal.reference), "%s", p->public_name);
	if (retagged)
		r = vn_pull_adopt(p, channel, err);
	return r < 0 ? r : decide(p, &n, err);
}

void vn_pull_take_options(struct vn_pull *p, const struct vn_pull_once_options *o)
{
	p->now = o && o->now;
	p->dry_run = o && o->dry_run;
	p->allow_downgrade = o && o->allow_downgrade;
}

/* All of it lies here. One that came before there were keys, or by a key that is not trusted any more, or whose signature has expired
 * is asked about again, and not fetched again. */
static bool is_begun(struct vn_pull *p)
{
	const struct vn_update *u = &p->journal.update;
	bool trusted = !p->keys || (vn_public_keys_have(p->keys, u->key) && (!u->expires || u->expires >= vn_pull_time(p)));
	return u->step >= VN_STEP_VERIFIED && !p->dry_run && trusted && !vn_pull_is_retagged(p);
}

/* Somebody gave the name to an image that this device knows nothing of: the registry is asked for it before anything takes its place. */
static bool runs_unknown(struct vn_pull *p)
{
	const struct vn_journal *j = &p->journal;
	struct vn_held held = { .ndiff_ids = 0 };
	struct vn_err ignored = { 0 };
	bool agree, known = vn_pull_look_running(p, &held, &agree, &ignored) < 0 || vn_digest_equal(&held.image, &j->update.release.image);
	for (size_t i = 0; !known && i < j->nreleases; i++)
		known = vn_digest_equal(&held.image, &j->releases[i].image);
	vn_held_release(&held);
	return !known;
}

/* A folder or an archive; the tag that is followed if it is in it, else its only image. */
static int open_file(struct vn_pull *p, const char *file, struct vn_source **ret, struct vn_err *err)
{
	struct stat st;
	struct vn_err why = { 0 };
	if (stat(file, &st) < 0)
		return vn_fail_sys(err, VN_ENOTFOUND, "cannot open %s", file);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return vn_fail(err, VN_EUSAGE, "%s is neither a file nor a folder", file);
	for (int tagged = 1; tagged >= 0; tagged--) {
		VN_AUTO_FREE char *text = NULL;
		VN_AUTO(vn_ref) ref = { 0 };
		int r = vn_asprintf(&text, err, "%s:%s%s%s", S_ISDIR(st.st_mode) ? "oci" : "oci-archive", file, tagged ? ":" : "",
				    tagged ? p->ref.tag : "");
		if (r == 0)
			r = vn_ref_parse(text, &ref, err);
		if (r < 0)
			return r;
		why = (struct vn_err){ 0 };
		r = S_ISDIR(st.st_mode) ? vn_layout_source_open(&ref, vn_pull_events(p), ret, &why) :
					  vn_oci_archive_source_open(&ref, vn_pull_events(p), ret, &why);
		if (r == 0)
			return 0;
		if (r != -VN_ENOTFOUND)
			break;
	}
	*err = why;
	if (err->code != VN_EUSAGE)
		return -(int)err->code;
	/* no tag can be added to what is imported */
	err->hint[0] = 0;
	return vn_hint(err, "A file to import holds one image, or one under the tag %s.", p->ref.tag);
}

/* Before anything is asked: what runs, if it is on trial. When it is not healthy and there is nothing to go back to, the poll goes on,
 * since what comes may be better. */
static int judge(struct vn_pull *p, struct vn_err *err)
{
	p->unhealthy = (struct vn_err){ 0 };
	if (p->dry_run || vn_digest_none(&p->journal.trial))
		return 0;
	int r = vn_pull_adopt(p, NULL, err);
	if (r == 0)
		r = vn_pull_try(p, err);
	if (r == 0 || vn_digest_none(&p->journal.trial))
		return r;
	p->unhealthy = *err;
	*err = (struct vn_err){ 0 };
	return 0;
}

/* From the registry, or from `file`. */
static int poll_once(struct vn_pull *p, const char *file, struct vn_err *err)
{
	VN_AUTO_SOURCE *channel = NULL;
	int r = file ? open_file(p, file, &channel, err) : 0;
	if (r == 0)
		r = judge(p, err);
	if (r == 0 && p->config.nkeys)
		r = vn_public_keys_open(p->config.keys, p->config.nkeys, &p->keys, err);
	if (r == 0 && !p->now)
		r = vn_pull_inhibited(p, err);
	if (r != 0)
		return r < 0 ? r : 0;
	/* a device that is pinned still tells that there is news */
	if (r == 0 && !p->journal.pinned && is_begun(p) && !runs_unknown(p)) {
		r = finish_begun(p, err);
		bool given_up = vn_pull_is_damage(r) && p->journal.update.step == VN_STEP_PLANNED;
		if (given_up) {
			vn_warn(vn_pull_events(p), "what was there of the update does not do, and is planned anew: %s", err->text);
			*err = (struct vn_err){ 0 };
			r = 0;
		}
		if (r < 0 || (!file && !given_up))
			return r;
	}
	if (r == 0 && !file && !p->now)
		r = vn_pull_closed(p, err);
	if (r == 0 && !file)
		r = open_registry(p, &channel, err);
	if (r == 0)
		r = poll_channel(p, vn_steal(channel), file != NULL, err);
	if (r < 0 || !p->unhealthy.code || !vn_digest_equal(&p->journal.trial, &p->journal.active))
		return r < 0 ? r : 0;
	*err = p->unhealthy;
	return -(int)err->code;
}

int vn_pull_once(struct vn_pull *p, const struct vn_pull_once_options *options, struct vn_err *err)
{
	vn_pull_take_options(p, options);
	int r = vn_pull_begin(p, "once", err);
	return r < 0 ? r : vn_pull_end(p, poll_once(p, NULL, err), err);
}

int vn_pull_import(struct vn_pull *p, const char *file, const struct vn_pull_once_options *options, struct vn_err *err)
{
	vn_pull_take_options(p, options);
	int r = vn_pull_begin(p, "import", err);
	return r < 0 ? r : vn_pull_end(p, poll_once(p, file, err), err);
}
