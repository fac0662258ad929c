/* The public functions of the device's side, but for polling and watching. */
#include "pull/pull.h"
#include "pull/shelf.h"
#include "pull/staging.h"
#include "registry/http.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- open and close */
int vn_pull_follow(struct vn_pull *p, const char *reference, struct vn_err *err)
{
	int r = vn_ref_parse(reference, &p->ref, err);
	if (r < 0)
		return r;
	/* not repeated: somebody may have mistaken it for a place of passwords */
	if (p->ref.transport != VN_REF_REGISTRY)
		return vn_fail(err, VN_EUSAGE, "the reference is in no registry: a device follows registry/repository:tag");
	if (!vn_digest_none(&p->ref.digest) || !p->ref.tag) {
		vn_fail(err, VN_EUSAGE, "%s names a digest, and a digest never has news", reference);
		return vn_hint(err, "Follow a tag; a signature says which releases are good.");
	}
	r = vn_ref_full_name(&p->ref, &p->public_name, err);
	return r < 0 ? r : vn_asprintf(&p->repository, err, "%s/%s", p->ref.registry, p->ref.repository);
}

static int check_places(const struct vn_pull_config *c, struct vn_err *err)
{
	struct stat st;
	if (stat(c->state, &st) == 0 && !S_ISDIR(st.st_mode))
		return vn_fail(err, VN_EUSAGE, "%s is not a folder, and the state of this device would be in one", c->state);
	if (!strcmp(c->engine, "oci") && !c->endpoint)
		return vn_fail(err, VN_EUSAGE, "the engine oci needs the folder of its layout: --endpoint DIR");
	return vn_engine_known(c->engine, err);
}

static int set_paths(struct vn_pull *p, struct vn_err *err)
{
	const char *state = p->config.state;
	bool own = !strcmp(p->config.engine, "oci");
	int r = own ? vn_strdup(p->config.endpoint, &p->shelf, err) : vn_asprintf(&p->shelf, err, "%s/store", state);
	if (r == 0)
		r = vn_asprintf(&p->staging, err, "%s/staging", state);
	if (r == 0)
		r = vn_asprintf(&p->scratch, err, "%s/tmp", state);
	return r < 0 ? r : vn_asprintf(&p->memory, err, "%s/connections.json", state);
}

int vn_pull_open(const struct vn_pull_options *options, struct vn_pull **ret, struct vn_err *err)
{
	if (!options || options->size < sizeof(options->size))
		return vn_fail(err, VN_EUSAGE, "struct vn_pull_options: size is not set");
	struct vn_pull *p = calloc(1, sizeof(*p));
	if (!p)
		return vn_nomem(err);
	p->lock = -1;
	p->events = options->events;
	int r = vn_http_init(err);
	if (r < 0) {
		free(p);
		return r;
	}
	r = vn_pull_config_read(options, &p->config, err);
	if (r == 0 && p->config.reference)
		r = vn_pull_follow(p, p->config.reference, err);
	if (r == 0)
		r = check_places(&p->config, err);
	if (r == 0)
		r = set_paths(p, err);
	if (r < 0) {
		vn_pull_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

void vn_pull_close(struct vn_pull *p)
{
	if (!p)
		return;
	vn_engine_close(p->engine);
	vn_close_p(&p->lock);
	vn_pull_config_release(&p->config);
	vn_ref_release(&p->ref);
	vn_arena_release(&p->report_arena);
	free(p->public_name);
	free(p->repository);
	free(p->shelf);
	free(p->staging);
	free(p->scratch);
	free(p->memory);
	free(p->status_releases);
	free(p->history);
	free(p->findings);
	free(p);
	vn_http_exit();
}

/* ---- rollback and pin */
static bool named(const struct vn_release *r, const char *name)
{
	const char *hex = vn_digest_hex(&r->manifest);
	size_t len = strlen(name);
	return !strcmp(name, r->manifest.text) || !strcmp(name, r->label) || (len >= 4 && !strncmp(hex, name, len));
}

static bool any_unhealthy(const struct vn_journal *j)
{
	bool any = false;
	for (size_t i = 0; i < j->nreleases; i++)
		any |= j->releases[i].unhealthy && j->releases[i].turn && !vn_digest_equal(&j->releases[i].manifest, &j->active);
	return any;
}

static int choose_release(struct vn_pull *p, const char *name, const struct vn_release **ret, struct vn_err *err)
{
	struct vn_journal *j = &p->journal;
	const struct vn_release *found = name ? NULL : vn_journal_before(j, 0);
	for (size_t i = 0; name && i < j->nreleases; i++) {
		const struct vn_release *r = &j->releases[i];
		/* one that is on its way goes with it */
		bool arrives = !r->turn && vn_digest_equal(&r->manifest, &j->update.release.manifest);
		if (!named(r, name) || arrives)
			continue;
		if (found)
			return vn_fail(err, VN_EUSAGE, "\"%s\" may be %s or %s", name, found->manifest.text, r->manifest.text);
		found = r;
	}
	if (!found) {
		bool unhealthy = !name && any_unhealthy(j);
		if (name)
			vn_fail(err, VN_ENOTFOUND, "no release here is called \"%s\"", name);
		else
			vn_fail(err, VN_ENOTFOUND, "there is no other release to go back to%s",
				unhealthy ? ", but for one that was not healthy" : "");
		return vn_hint(err, "`veneer-pull status` lists what this device holds%s.",
			       unhealthy ? "; `veneer-pull rollback RELEASE` takes any of them" : "");
	}
	*ret = found;
	return 0;
}

static int roll_back(struct vn_pull *p, const char *name, struct vn_err *err)
{
	const struct vn_release *to = NULL, *from = vn_journal_active(&p->journal);
	char called[200];
	int r = choose_release(p, name, &to, err);
	if (r < 0)
		return r;
	struct vn_journal *j = &p->journal;
	const struct vn_digest target = to->manifest, before = j->active, refused = j->refused;
	if (from && vn_digest_equal(&from->manifest, &target))
		return vn_pull_say(p, err, "%s runs already.", vn_pull_called(from, called));
	bool leaves = !vn_digest_equal(&j->asked, &to->channel) && !vn_digest_equal(&j->asked, &refused), by_order = j->refused_by_order;
	if (leaves) {
		j->refused = j->asked;
		j->refused_by_order = true;
	}
	/* an order given here may go below the counter */
	p->allow_downgrade = true;
	r = vn_pull_activate(p, &target, "rolled-back", err);
	/* what did not happen leaves nothing refused; what went back at once has refused that one itself */
	if (r < 0 && leaves && vn_digest_equal(&j->active, &before) && vn_digest_equal(&j->refused, &j->asked)) {
		j->refused = refused;
		j->refused_by_order = by_order;
	}
	return r < 0 ? r : vn_pull_say_updated(p, &before, false, err);
}

int vn_pull_rollback(struct vn_pull *p, const char *release, struct vn_err *err)
{
	vn_pull_take_options(p, NULL);
	int r = vn_pull_begin(p, "rollback", err);
	if (r < 0)
		return r;
	const struct vn_release *meant = NULL;
	struct vn_err why = { 0 };
	char called[200];
	/* what cannot be gone back to is said before anything is dropped for it */
	r = choose_release(p, release, &meant, err);
	if (r == 0)
		r = vn_pull_adopt(p, NULL, err);
	if (r == 0)
		r = choose_release(p, release, &meant, err);
	if (r == 0 && vn_pull_whole(p, meant, err) < 0)
		r = vn_wrap(err, "%s cannot be gone back to", vn_pull_called(meant, called));
	if (r == 0 && vn_pull_drop_update(p, &why) < 0)
		vn_warn(vn_pull_events(p), "what was under way is not tidied up: %s", why.text);
	return vn_pull_end(p, r < 0 ? r : roll_back(p, release, err), err);
}

int vn_pull_pin(struct vn_pull *p, bool off, struct vn_err *err)
{
	char called[200];
	vn_pull_take_options(p, NULL);
	int r = vn_pull_begin(p, "pin", err);
	if (r < 0)
		return r;
	/* what stays has passed its trial */
	if (!off)
		r = vn_pull_adopt(p, NULL, err);
	if (r == 0 && !off)
		r = vn_pull_try(p, err);
	const struct vn_release *active = vn_journal_active(&p->journal);
	if (r == 0 && !off && !active)
		r = vn_fail(err, VN_ENOTFOUND, "nothing runs here that could be pinned");
	if (r == 0 && p->journal.pinned == off) {
		p->journal.pinned = !off;
		vn_pull_tell(p, off ? "let go" : "pinned", active, "", 0);
	}
	if (r == 0 && off)
		r = vn_pull_say(p, err, "Updates go on.");
	else if (r == 0)
		r = vn_pull_say(p, err, "%s stays until `veneer-pull pin --off`.", vn_pull_called(active, called));
	return vn_pull_end(p, r, err);
}

/* ---- gc and verify */
int vn_pull_gc(struct vn_pull *p, bool dry_run, struct vn_err *err)
{
	const struct vn_pull_once_options o = { .size = sizeof(o), .dry_run = dry_run };
	uint64_t bytes = 0;
	char size[VN_SIZE_TEXT], count[VN_COUNT_TEXT];
	vn_pull_take_options(p, &o);
	int r = vn_pull_begin(p, "gc", err);
	if (r < 0)
		return r;
	p->report.dry_run = dry_run;
	r = vn_pull_adopt(p, NULL, err);
	if (r == 0 && p->journal.update.step == VN_STEP_IDLE && !dry_run)
		r = vn_pull_clear_staging(p, err);
	if (r == 0)
		r = vn_pull_collect(p, dry_run, err);
	for (size_t i = 0; i < p->report.nfindings; i++)
		bytes += p->findings[i].bytes;
	if (r == 0 && !p->report.nfindings)
		r = vn_pull_say(p, err, "There is nothing to remove.");
	else if (r == 0)
		r = vn_pull_say(p, err, "%s things %s, %s.", vn_count_text(p->report.nfindings, count),
				dry_run ? "would be removed" : "were removed", vn_size_text(bytes, size));
	return vn_pull_end(p, r, err);
}

struct verifying {
	struct vn_pull *p;
	size_t sound, bad;
	uint64_t bytes;
	struct vn_err err;
};

static void tell_blob(void *user, const char *digest, uint64_t bytes, const char *problem)
{
	struct verifying *v = user;
	char line[200];
	v->bytes += bytes;
	v->sound += !problem;
	v->bad += problem != NULL;
	snprintf(line, sizeof(line), "blob %s", digest);
	if (problem)
		vn_pull_find(v->p, line, problem, bytes, &v->err);
}

/* What came of looking at one thing; what only the engine could have said, and what kept it from looking, ends the run. */
static int count(struct verifying *v, const char *what, int r, const struct vn_err *why, struct vn_err *err)
{
	bool full = r < 0 && strcasestr(why->text, "no space left on device");
	if (full || r == -VN_ENETWORK || r == -VN_ENOMEM || r == -VN_EAUTH) {
		*err = *why;
		err->code = full ? VN_EIO : err->code;
		return full ? vn_hint(err, "Engines need room for what they are asked to read: make some, and try again.") : r;
	}
	v->bad += r < 0;
	v->sound += r == 0;
	return vn_pull_find(v->p, what, r < 0 ? why->text : "", 0, err);
}

static int verify_release(struct verifying *v, const struct vn_release *release, struct vn_err *err)
{
	struct vn_pull *p = v->p;
	VN_AUTO_SOURCE *shelf = NULL;
	VN_AUTO(vn_image) image = { 0 };
	char called[200], line[256];
	struct vn_err why = { 0 };
	int r = vn_pull_named(p, release, &why);
	if (r == 0 && release->layers)
		r = vn_pull_open_release(p, release, &shelf, &image, &why);
	if (r == 0 && release->layers) {
		const struct vn_incoming in = { &image, (size_t)release->base, release->name };
		r = p->engine->ops->prove(p->engine, &in, strcmp(release->how, "adopted") != 0, &why);
	}
	if (r == 0 && p->engine->ops->reread)
		r = p->engine->ops->reread(p->engine, release->name, &why);
	snprintf(line, sizeof(line), "release %s", vn_pull_called(release, called));
	return count(v, line, r, &why, err);
}

/* The engine runs what the journal says. */
static int verify_running(struct verifying *v, struct vn_err *err)
{
	struct vn_pull *p = v->p;
	const struct vn_release *active = vn_journal_active(&p->journal);
	struct vn_held held = { .ndiff_ids = 0 };
	struct vn_err why = { 0 };
	bool agree = true;
	if (!active)
		return 0;
	int r = vn_pull_look_running(p, &held, &agree, &why);
	if (r == 0 && (!agree || !vn_digest_equal(&held.image, &active->image)))
		r = vn_fail(&why, VN_EDIGEST, "it is not what the journal says");
	vn_held_release(&held);
	return count(v, "what runs", r, &why, err);
}

static int verify_all(struct vn_pull *p, struct vn_err *err)
{
	struct verifying v = { .p = p };
	struct vn_err why = { 0 };
	char size[VN_SIZE_TEXT];
	int r = vn_shelf_verify(p->shelf, tell_blob, &v, err);
	if (r == 0)
		r = verify_running(&v, err);
	for (size_t i = 0; r == 0 && i < p->journal.nreleases; i++)
		r = verify_release(&v, &p->journal.releases[i], err);
	if (r == 0 && p->engine->ops->reread_base)
		r = count(&v, "what updates start from", p->engine->ops->reread_base(p->engine, &why), &why, err);
	if (r < 0)
		return r;
	if (!v.bad)
		return vn_pull_say(p, err, "All is sound: %zu things%s, and blobs of %s.", v.sound,
				   p->engine->ops->reread ? " with their files" : "", vn_size_text(v.bytes, size));
	vn_fail(err, VN_EDIGEST, "%zu of %zu things that this device holds are not sound", v.bad, v.bad + v.sound);
	return vn_hint(err, "`veneer-pull verify` lists them; REPAIR in veneer-pull(8) says what to do.");
}

int vn_pull_verify(struct vn_pull *p, struct vn_err *err)
{
	vn_pull_take_options(p, NULL);
	int r = vn_pull_begin(p, "verify", err);
	return r < 0 ? r : vn_pull_end(p, verify_all(p, err), err);
}
