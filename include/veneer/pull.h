/* The device's side: one state folder follows one image, brings new releases into an engine, and never loses the one that runs.
 * Everything may be killed at any instant; the next call goes on where the journal says. */
#ifndef VENEER_PULL_H
#define VENEER_PULL_H
#include "veneer/error.h"
#include "veneer/event.h"
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero it, set size. What is set here wins over the configuration file (veneer-pull.json(5)), which wins over the defaults. */
struct vn_pull_options {
	size_t size;
	const char *config;          /* file; NULL: /etc/veneer-pull.json where it exists */
	const char *reference;       /* what to follow: registry/repository:tag */
	const char *engine;          /* "moby", "containerd", "podman", "oci", "rootfs" */
	const char *endpoint;        /* its socket; oci and rootfs: their folder */
	const char *state;           /* folder of the journal and of what is held */
	const char *platform;
	const char *authfile, *cacert;
	bool plain_http, insecure;
	struct vn_events events;
	void *reserved[8];           /* must be zero */
};

enum vn_pull_outcome {
	VN_PULL_CURRENT,             /* the release that runs is the one that the reference names */
	VN_PULL_UPDATED,             /* another one runs now */
	VN_PULL_STAGED,              /* it is in the engine, and "switch" says that somebody else starts it */
	VN_PULL_WAITS,               /* there is news; `why` says what it waits for: window, budget, inhibit file, pin */
	VN_PULL_REFUSED_BEFORE       /* there is news that was rolled back or failed here before: left alone until it changes */
};

/* One release that this device holds. */
struct vn_pull_release {
	const char *digest;          /* of its image manifest */
	const char *image;           /* of its configuration: the image ID */
	const char *label;           /* what people call it: the version annotation or label, the tag it came by; "" = nothing */
	const char *how;             /* "adopted", "delta", "full", "import" */
	const char *check;           /* "" = none was configured, "passed" */
	uint64_t counter;            /* signed release counter, 0 = none */
	uint64_t bytes;              /* that fetching it took, both directions */
	int64_t installed, activated;        /* seconds since 1970; 0 = never, or the clock was not set */
	bool active, pinned;
	bool on_trial;               /* active, and its health command has not passed it yet */
};
struct vn_pull_status {
	const char *reference, *engine, *endpoint, *state;
	const char *step;            /* "idle", or of the update under way: "planned", "fetching", "verified", "handing", "sealed" */
	const char *target;          /* digest of that update, "" = none */
	uint64_t have, need;         /* its bytes */
	const struct vn_pull_release *releases;      /* the active one first, then the others, newest first */
	size_t nreleases;
	bool base_pinned;
	uint64_t month_bytes, month_budget;  /* on the wire this month, both directions; budget 0 = none */
	uint64_t last_bytes;         /* of the last update */
	int64_t last_poll, next_poll;        /* 0 = never, not known */
	const char *waits;           /* what an update waits for, "" = nothing */
	const char *error;           /* of the last run, "" = it went well */
	int error_status;            /* its exit status */
	int64_t error_time;
	int64_t unsound;             /* when verify found damage last; 0 = it has found none since, or never */
	unsigned failures;           /* in a row */
};
struct vn_pull_event {               /* one line of the history */
	int64_t time;
	const char *event;           /* "active", "staged", "rolled-back", "failed", "adopted", "pinned" … */
	const char *digest, *label, *detail;
	uint64_t bytes;
};
struct vn_pull_finding {             /* of verify and gc */
	const char *what;            /* "release sha256:…", "blob sha256:…", "image NAME in moby", "removed …" */
	const char *problem;         /* "" = sound */
	uint64_t bytes;
};
struct vn_pull_report {
	const char *verb;            /* "once", "rollback", "import", "verify", "gc", "pin" */
	enum vn_pull_outcome outcome;
	const char *sentence;        /* what happened, for people */
	const char *why;
	const char *digest, *previous;       /* what is active now, and what was */
	uint64_t sent, received;     /* on the wire, as the kernel counted TCP payload and headers */
	const struct vn_pull_finding *findings;
	size_t nfindings;
	bool dry_run;
};

struct vn_pull;
/* Reads the configuration. Touches neither state nor network. VN_EUSAGE names the field. */
VN_API int vn_pull_open(const struct vn_pull_options *options, struct vn_pull **ret, struct vn_err *err);
VN_API void vn_pull_close(struct vn_pull *pull);

struct vn_pull_once_options {
	size_t size;
	bool now;                    /* whatever windows, budget, inhibit file and an earlier refusal say */
	bool dry_run;                /* ask and plan only */
	bool allow_downgrade;        /* a lower release counter, this once */
	void *reserved[4];
};
/* One poll and, when there is news, the update. */
VN_API int vn_pull_once(struct vn_pull *pull, const struct vn_pull_once_options *options, struct vn_err *err);
/* Polls for ever. `tick` (may be NULL) after each poll: non-zero ends it. */
VN_API int vn_pull_watch(struct vn_pull *pull, int (*tick)(void *user, int result, const struct vn_err *why), void *user,
			 struct vn_err *err);
/* The watcher of this state folder polls at once. VN_ENOTFOUND: nobody watches. */
VN_API int vn_pull_wake(struct vn_pull *pull, struct vn_err *err);
/* Without network: `release` (digest, unique prefix of its hex digits, label) or NULL: the one before. */
VN_API int vn_pull_rollback(struct vn_pull *pull, const char *release, struct vn_err *err);
/* The active release stays, and nothing replaces it until it is let go. */
VN_API int vn_pull_pin(struct vn_pull *pull, bool off, struct vn_err *err);
VN_API int vn_pull_gc(struct vn_pull *pull, bool dry_run, struct vn_err *err);
/* Hashes all that is held, and looks whether the engine has it. VN_EDIGEST when something is not sound; the report says what. */
VN_API int vn_pull_verify(struct vn_pull *pull, struct vn_err *err);
/* As once, from a file: an OCI archive or layout that holds the image or a delta to it, and its signature when one is asked for. */
VN_API int vn_pull_import(struct vn_pull *pull, const char *file, const struct vn_pull_once_options *options, struct vn_err *err);

/* Of the last call above, valid until the next; NULL before. */
VN_API const struct vn_pull_report *vn_pull_get_report(const struct vn_pull *pull);
/* Read without waiting for a running update. Valid until the next call. */
VN_API int vn_pull_get_status(struct vn_pull *pull, const struct vn_pull_status **ret, struct vn_err *err);
VN_API int vn_pull_get_history(struct vn_pull *pull, const struct vn_pull_event **ret, size_t *ret_n, struct vn_err *err);
/* Schemas "veneer-pull.status/1", "veneer-pull.history/1", "veneer-pull.report/1" (veneer-pull(8)). free() the text. */
VN_API int vn_pull_status_json(struct vn_pull *pull, char **ret_text, struct vn_err *err);
VN_API int vn_pull_history_json(struct vn_pull *pull, char **ret_text, struct vn_err *err);
VN_API int vn_pull_report_json(const struct vn_pull *pull, char **ret_text, struct vn_err *err);

#ifdef __cplusplus
}
#endif
#endif
