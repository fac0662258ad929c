/* The device's updater from inside. An update is a row of steps, each a function of its own; the journal says which were reached:
 * ask, find, prove (news.h) - fetch, rebuild (fetch.c) - hand over, check, switch, keep, collect (handover.c). */
#ifndef VN_PULL_PULL_H
#define VN_PULL_PULL_H
#include "engine/device.h"
#include "pull/config.h"
#include "pull/journal.h"
#include "registry/registry.h"
#include "sign/sign.h"

struct vn_pull {
	struct vn_pull_config config;
	struct vn_events events;
	struct vn_ref ref;                   /* of config.reference */
	char *public_name;                   /* "registry/repository:tag", what containers are started from */
	char *repository;                    /* "registry/repository" */
	char *shelf, *staging, *scratch, *memory;    /* paths */
	struct vn_journal journal;
	bool journal_is_older;               /* the newest cannot be read */
	struct vn_engine *engine;
	struct vn_public_keys *keys;         /* of this run; NULL = none are asked for */
	int lock;                            /* -1 = not ours */
	struct vn_wire wire;                 /* of this run */
	uint64_t counted;                    /* of it, in the journal already */
	bool now, allow_downgrade, dry_run, watching;
	struct vn_err unhealthy;             /* what runs is not healthy, and there was nothing to go back to */
	/* for the caller */
	struct vn_arena report_arena;
	struct vn_pull_report report;
	struct vn_pull_status status;
	struct vn_pull_release *status_releases;
	struct vn_pull_event *history;
	size_t findings_cap;
	struct vn_pull_finding *findings;
};
const struct vn_events *vn_pull_events(struct vn_pull *p);

/* ---- clock.c: seconds since 1970 */
int64_t vn_pull_clock(void);
#define VN_CLOCK_SET 1767225600       /* 2026: a clock that says less, before this program existed, was never set */
/* As the clock says, or the latest time that this device has seen while the clock is not set. */
int64_t vn_pull_time(struct vn_pull *p);
/* Seconds that the windows' zone is east of UTC. */
int64_t vn_pull_zone(const struct vn_pull *p, int64_t now);

/* ---- pull.c */
/* Takes the names out of a reference. */
int vn_pull_follow(struct vn_pull *p, const char *reference, struct vn_err *err);

/* ---- gates.c */
/* The run ends with that reason. */
int vn_pull_waits(struct vn_pull *p, struct vn_err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* 1: somebody wants nothing to change now, what is begun included. */
int vn_pull_inhibited(struct vn_pull *p, struct vn_err *err);
/* Gates that keep the network quiet altogether. 1: one is closed. */
int vn_pull_closed(struct vn_pull *p, struct vn_err *err);
/* That many bytes of an update are to come, and `before` did. 1: the money says no. Else it is reserved. */
int vn_pull_reserve(struct vn_pull *p, uint64_t need, uint64_t before, struct vn_err *err);

/* ---- once.c */
void vn_pull_take_options(struct vn_pull *p, const struct vn_pull_once_options *o);
/* What runs now, and what did `before`; `came`: it was not held here. */
int vn_pull_say_updated(struct vn_pull *p, const struct vn_digest *before, bool came, struct vn_err *err);

/* ---- session.c: one run over the state folder */
/* Lock, folders, journal, engine; what an interrupted run left is put right. VN_ENETWORK when another run has the lock. */
int vn_pull_begin(struct vn_pull *p, const char *verb, struct vn_err *err);
/* The state folder followed another tag until now; nothing is known of this one. */
bool vn_pull_is_retagged(const struct vn_pull *p);
/* The journal, then the status and metrics files; a dry run changes neither. */
int vn_pull_save(struct vn_pull *p, struct vn_err *err);
/* What the run came to: error or none goes into the journal; lock and engine are let go. Returns r. */
int vn_pull_end(struct vn_pull *p, int r, struct vn_err *err);
/* The journal as it stands, without a lock. */
int vn_pull_look(struct vn_pull *p, struct vn_err *err);
/* An event: into the history, and to its hooks. `r` may be NULL. */
void vn_pull_tell(struct vn_pull *p, const char *event, const struct vn_release *r, const char *detail, uint64_t bytes);
/* The same for what changed the journal: a hook may take the device down, so the journal comes first. */
int vn_pull_save_and_tell(struct vn_pull *p, const char *event, const struct vn_release *r, const char *detail, uint64_t bytes,
			  struct vn_err *err);
/* Wire bytes since the last call, into the month. */
void vn_pull_account(struct vn_pull *p);

/* ---- watch.c */
/* When this device asks again. */
int64_t vn_pull_next_time(struct vn_pull *p, bool failed);

/* ---- report.c */
int vn_pull_say(struct vn_pull *p, struct vn_err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int vn_pull_find(struct vn_pull *p, const char *what, const char *problem, uint64_t bytes, struct vn_err *err);
/* "iot-3 (sha256:0123…)" */
const char *vn_pull_called(const struct vn_release *r, char out[200]);
void vn_pull_write_files(struct vn_pull *p);

/* ---- command.c */
/* Runs a hook, check or health command: {image} in an argument is `image`. 0 when it ended with status 0; VN_EREFUSED with its status,
 * VN_EIO when it could not be started. */
struct vn_pull_env {
	const char *event, *image, *label;
	const struct vn_digest *digest, *previous;
};
int vn_pull_run(struct vn_pull *p, const struct vn_pull_command *command, const struct vn_pull_env *env, struct vn_err *err);
/* A check or health command. One that takes the device down each time, or hangs it until a watchdog does, is not started for ever: *starts
 * counts the runs of the kernel that it did not come back from, `boot` is the last of them; after three VN_EREFUSED. */
int vn_pull_run_counted(struct vn_pull *p, const struct vn_pull_command *command, const char *event, const struct vn_release *r,
			const char *name, unsigned *starts, char boot[VN_BOOT_TEXT], struct vn_err *err);

/* ---- adopt.c */
/* What the engine has under the public name becomes the active release, when it is another one than the journal says. Asks the registry
 * (`channel`, may be NULL) for its manifest and configuration once. */
int vn_pull_adopt(struct vn_pull *p, struct vn_source *channel, struct vn_err *err);
/* What containers are started from. *ret_agree false: the engine runs one release and has another under the name. */
int vn_pull_look_running(struct vn_pull *p, struct vn_held *ret, bool *ret_agree, struct vn_err *err);
/* The layers that `n` says, of an image on the shelf, stay in the engine whatever is removed. */
int vn_pull_pin_base(struct vn_pull *p, const struct vn_image *image, size_t n, struct vn_err *err);
/* Layers at the bottom that the image stands on: what a thin image records, else all. */
size_t vn_pull_base_layers(const struct vn_image *image);

/* A clean-up of unused images leaves that one. */
int vn_pull_keep(struct vn_pull *p, const char *name, struct vn_err *err);

/* ---- handover.c */
/* From VERIFIED on: engine, check, switch, keep, collect. No network. */
int vn_pull_hand_over(struct vn_pull *p, struct vn_err *err);
/* That failure says that bytes are not what they should be, or not there; and nothing of the machine or the network. */
bool vn_pull_is_damage(int r);
/* The engine has that image under the release's private name: VN_ENOTFOUND or VN_EDIGEST when not. */
int vn_pull_named(struct vn_pull *p, const struct vn_release *r, struct vn_err *err);
/* A release that is held can still be run: VN_ENOTFOUND or VN_EDIGEST when not. Files are not hashed. */
int vn_pull_whole(struct vn_pull *p, const struct vn_release *r, struct vn_err *err);
void vn_pull_private_name(const struct vn_pull *p, const struct vn_digest *manifest, char ret[VN_PULL_TEXT]);
/* Opens a release's image on the shelf. The source outlives the image. */
int vn_pull_open_release(struct vn_pull *p, const struct vn_release *r, struct vn_source **ret_shelf, struct vn_image *ret,
			 struct vn_err *err);

/* ---- trial.c */
/* A held release gets the public name; the health command may send it back. `how`: the event. */
int vn_pull_activate(struct vn_pull *p, const struct vn_digest *manifest, const char *how, struct vn_err *err);
/* The name was given to a release: the journal says so, and takes it on trial. */
int vn_pull_switched(struct vn_pull *p, struct vn_release *r, const char *how, struct vn_err *err);
/* The health of an active release on trial: a kill or a power cut may have ended its trial, or it never passed. Unhealthy: VN_EREFUSED,
 * and back to what ran before, or it stays on trial when nothing did. */
int vn_pull_try(struct vn_pull *p, struct vn_err *err);
/* A check or health command found that release wanting: it is left alone until that is ordered. */
void vn_pull_refuse(struct vn_pull *p, const struct vn_release *r);
/* "active", or "staged" when somebody else decides when it is started. */
const char *vn_pull_active_event(const struct vn_pull *p);

/* ---- tidy.c */
/* Releases beyond the number that is kept, old base images, blobs nobody needs. */
int vn_pull_collect(struct vn_pull *p, bool dry_run, struct vn_err *err);
/* The staging folder is emptied; blobs that it says were brought, and that nothing needs, go. */
int vn_pull_clear_staging(struct vn_pull *p, struct vn_err *err);
/* An update that is not wanted any more leaves nothing behind, in the engine, on the shelf or in staging. */
int vn_pull_drop_update(struct vn_pull *p, struct vn_err *err);
#endif
