/* The switch: a release gets the name that containers start from, and is on trial until the health command has passed it. No network. */
#include "pull/pull.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include <stdio.h>
#include <string.h>

/* Of what ran until now only the public name may be left. */
static int keep_name(struct vn_pull *p, struct vn_err *err)
{
	const struct vn_release *active = vn_journal_active(&p->journal);
	struct vn_held held = { .ndiff_ids = 0 };
	struct vn_err why = { 0 };
	if (!active)
		return 0;
	int r = p->engine->ops->look(p->engine, active->name, &held, &why);
	vn_held_release(&held);
	if (r != -VN_ENOTFOUND || p->engine->ops->look(p->engine, p->public_name, &held, &why) < 0)
		return 0;
	bool same = vn_digest_equal(&held.image, &active->image);
	vn_held_release(&held);
	return same ? p->engine->ops->name_as(p->engine, p->public_name, active->name, err) : 0;
}

static int give_name(struct vn_pull *p, const struct vn_release *r, struct vn_err *err)
{
	int rc = keep_name(p, err);
	if (rc == 0)
		rc = p->engine->ops->name_as(p->engine, r->name, p->public_name, err);
	return rc < 0 ? vn_wrap(err, "switching %s", p->public_name) : p->engine->ops->sync(p->engine, err);
}

static void end_trial(struct vn_pull *p)
{
	p->journal.trial = p->journal.back = (struct vn_digest){ "" };
	p->journal.starts = 0;
}

/* false: the trial is over, or it is not ours to judge: no health command, or somebody gave the name to another image meanwhile. */
static bool on_trial(struct vn_pull *p)
{
	struct vn_journal *j = &p->journal;
	const struct vn_release *active = vn_journal_active(j);
	struct vn_held held = { .ndiff_ids = 0 };
	struct vn_err ignored = { 0 };
	bool agree;
	bool is = !vn_digest_none(&j->trial) && vn_digest_equal(&j->trial, &j->active) && active && p->config.health.argv;
	if (is && vn_pull_look_running(p, &held, &agree, &ignored) == 0)
		is = vn_digest_equal(&held.image, &active->image);
	vn_held_release(&held);
	if (!is)
		end_trial(p);
	return is;
}

void vn_pull_refuse(struct vn_pull *p, const struct vn_release *r)
{
	vn_journal_set_wanting(&p->journal, &r->manifest, true);
	/* of what came from a file the reference knows nothing */
	if (!strcmp(r->how, "import"))
		return;
	p->journal.refused = r->channel;
	p->journal.refused_by_order = false;
}

/* That one, or else the last before it that can still be run. */
static struct vn_release *find_whole(struct vn_pull *p, struct vn_release *r)
{
	if (!r)
		r = vn_journal_before(&p->journal, 0);
	for (; r; r = vn_journal_before(&p->journal, r->turn)) {
		struct vn_err why = { 0 };
		char called[200];
		if (!vn_pull_is_damage(vn_pull_whole(p, r, &why)))
			return r;
		vn_warn(vn_pull_events(p), "%s cannot be gone back to: %s", vn_pull_called(r, called), why.text);
	}
	return NULL;
}

static int go_back(struct vn_pull *p, struct vn_err *err)
{
	struct vn_release *bad = vn_journal_release(&p->journal, &p->journal.trial);
	struct vn_release *good = vn_journal_release(&p->journal, &p->journal.back);
	char a[200], b[200];
	struct vn_err why = *err, ignored = { 0 };
	if (bad)
		bad->unhealthy = true;
	good = find_whole(p, good);
	if (!good) {
		vn_fail(err, VN_EREFUSED, "%s is not healthy, and there is none to go back to: %.400s",
			bad ? vn_pull_called(bad, a) : "the new release", why.text);
		return vn_hint(err, "It stays; each poll asks for its health again, and takes the release after it.");
	}
	if (bad)
		vn_pull_refuse(p, bad);
	p->journal.back = good->manifest;
	vn_pull_save(p, &ignored);
	int r = give_name(p, good, err);
	if (r < 0)
		return r;
	vn_journal_activate(&p->journal, good, vn_pull_time(p));
	end_trial(p);
	r = vn_pull_save_and_tell(p, "rolled-back", good, why.text, 0, err);
	if (r < 0)
		return r;
	return vn_fail(err, VN_EREFUSED, "%s is not healthy; %s runs again: %.400s", bad ? vn_pull_called(bad, a) : "the new release",
		       vn_pull_called(good, b), why.text);
}

/* A command of the release itself, and not of the device. */
static bool is_in_image(struct vn_pull *p, const char *program)
{
	VN_AUTO_FREE char *folder = NULL;
	struct vn_err ignored = { 0 };
	if (strcmp(p->config.engine, "rootfs") || !p->config.endpoint || vn_fs_absolute(p->config.endpoint, &folder, &ignored) < 0)
		return false;
	size_t n = strlen(folder);
	return !strncmp(program, folder, n) && program[n] == '/';
}

int vn_pull_try(struct vn_pull *p, struct vn_err *err)
{
	struct vn_release *r = vn_journal_active(&p->journal);
	if (!on_trial(p))
		return 0;
	int rc = vn_pull_run_counted(p, &p->config.health, "health", r, p->public_name, &p->journal.starts, p->journal.start_boot, err);
	/* what kept the command from being asked says nothing about the release */
	if (rc == -VN_EREFUSED || (rc == -VN_EIO && is_in_image(p, p->config.health.argv[0])))
		return go_back(p, err);
	if (rc < 0)
		return vn_wrap(err, "the health command");
	r->healthy = true;
	r->unhealthy = false;
	vn_journal_set_wanting(&p->journal, &r->manifest, false);
	end_trial(p);
	return vn_pull_save(p, err);
}

/* What is gone back to ran before, and nobody found it wanting: else what that one would have gone back to. */
static void take_on_trial(struct vn_journal *j, const struct vn_digest *now, bool judged)
{
	const struct vn_release *before = vn_journal_active(j);
	bool doubted = before && (before->unhealthy || (vn_digest_equal(&before->manifest, &j->trial) && !before->healthy));
	if (!judged)
		j->back = (struct vn_digest){ "" };
	else if (before && !doubted)
		j->back = before->manifest;
	if (vn_digest_equal(&j->back, now))
		j->back = (struct vn_digest){ "" };
	j->trial = judged ? *now : (struct vn_digest){ "" };
	j->starts = 0;
}

const char *vn_pull_active_event(const struct vn_pull *p)
{
	return p->config.staged ? "staged" : "active";
}

int vn_pull_switched(struct vn_pull *p, struct vn_release *r, const char *how, struct vn_err *err)
{
	struct vn_journal *j = &p->journal;
	take_on_trial(j, &r->manifest, p->config.health.argv && !p->config.staged);
	vn_journal_activate(j, r, vn_pull_time(p));
	/* an order to go back does not open the way for others */
	if (r->counter > j->counter)
		j->counter = r->counter;
	j->update = (struct vn_update){ .step = VN_STEP_IDLE };
	j->waits[0] = 0;
	if (vn_digest_equal(&j->refused, &r->channel))
		j->refused = (struct vn_digest){ "" };
	return vn_pull_save_and_tell(p, how, r, r->how, r->bytes, err);
}

int vn_pull_activate(struct vn_pull *p, const struct vn_digest *manifest, const char *how, struct vn_err *err)
{
	struct vn_release *r = vn_journal_release(&p->journal, manifest);
	if (!r)
		return vn_fail(err, VN_ENOTFOUND, "this device does not hold %s", manifest->text);
	int rc = give_name(p, r, err);
	if (rc == 0)
		rc = vn_pull_switched(p, r, how, err);
	return rc < 0 ? rc : vn_pull_try(p, err);
}
