/* The journal: one document that says what this device holds, what runs, and how far an update has come. It is replaced whole, and only
 * after the data that it claims is durable; the state before the last change stays beside it, for a disk that loses the newest. */
#ifndef VN_PULL_JOURNAL_H
#define VN_PULL_JOURNAL_H
#include "json/json.h"
#include "util/digest.h"
#include "util/fs.h"
#include <sys/types.h>

#define VN_JOURNAL_FILE "journal.json"
#define VN_JOURNAL_BEFORE "journal.old"
#define VN_JOURNAL_SCHEMA "veneer-pull.journal/1"
#define VN_PULL_TEXT 512
#define VN_MAX_RELEASES 24
#define VN_MAX_HISTORY 100

/* Each of them is reached when what it says is durable. */
enum vn_step {
	VN_STEP_IDLE,
	VN_STEP_PLANNED,             /* target and way are chosen; nothing is fetched */
	VN_STEP_FETCHING,            /* bytes may lie in staging */
	VN_STEP_VERIFIED,            /* manifest, configuration and layers are in the store, all compared with their digests */
	VN_STEP_HANDING,             /* the engine may have a part of it */
	VN_STEP_SEALED,              /* the engine has it whole, and on its disk */
	VN_STEPS
};
const char *vn_step_name(enum vn_step step);

struct vn_release {
	struct vn_digest manifest, image;    /* "" = there is no such release */
	struct vn_digest channel;            /* what the reference named when it came: the manifest or an index around it */
	char name[VN_PULL_TEXT];             /* in the engine, private */
	char label[128];
	char how[16], check[16];
	uint64_t counter, bytes;
	uint64_t layers, base;               /* of the image, and those at its bottom that are not kept in the store */
	int64_t installed, activated;
	uint64_t turn;                       /* releases that became active have rising ones, whatever the clock says */
	bool healthy, unhealthy;             /* the health command has passed it; … has found it wanting */
	char proof[16];                      /* of the counter: "found", "missing" = asked for once, "" = nobody asked */
};
struct vn_update {
	enum vn_step step;
	struct vn_release release;           /* what it will be */
	struct vn_digest from;               /* manifest that the delta starts from; "" = in full */
	uint64_t present;                    /* layers at its bottom that the engine had before a part of it came; the store lacks them */
	uint64_t need, have;                 /* bytes; have: when the journal was written */
	uint64_t before;                     /* wire bytes of runs that were interrupted */
	bool import;                         /* from a file and not from the registry */
	char key[65];                        /* ID of the key that it was proved with; "" = no key was asked for */
	int64_t expires;                     /* of the signature; 0 = never */
	bool delta_failed;                   /* it was tried, and the image is fetched instead */
	char boot[VN_BOOT_TEXT];             /* of the kernel's run that it was handed to the engine in */
	unsigned starts;                     /* runs of the kernel that the check command did not come back from */
	char start_boot[VN_BOOT_TEXT];       /* the last of them */
};
struct vn_happened {
	int64_t time;
	char event[16];
	struct vn_digest digest;
	char label[128], detail[256];
	uint64_t bytes;
};
struct vn_journal {
	char reference[VN_PULL_TEXT], repository[VN_PULL_TEXT], engine[16];
	char folder[VN_PULL_TEXT];           /* of an engine that is one */
	struct vn_release releases[VN_MAX_RELEASES];         /* newest first */
	size_t nreleases;
	struct vn_digest active;             /* manifest of one of them; "" = none yet */
	struct vn_update update;
	struct vn_digest asked;              /* what the reference named when it was last asked */
	struct vn_digest refused;            /* … when that failed here or was rolled back: left alone until it names another one */
	bool refused_by_order;               /* nobody found it wanting */
	char wanting[640];                   /* hex digits of the last manifests that a check or health command found wanting here */
	struct vn_digest trial;              /* the active release while its health is not known; "" = it is, or nobody asks */
	struct vn_digest back;               /* what ran before it; "" = nothing did */
	unsigned starts;                     /* runs of the kernel that the health command did not come back from */
	char start_boot[VN_BOOT_TEXT];       /* the last of them */
	bool pinned;
	uint64_t counter;                    /* the highest signed release that was active */
	struct vn_digest base;               /* chain ID of the layers that the pin image holds; "" = none */
	char base_name[VN_PULL_TEXT];        /* of the pin image */
	int64_t month;                       /* its start */
	uint64_t month_bytes, reserved;      /* on the wire; reserved: by an update under way, in addition */
	uint64_t last_bytes;
	int64_t last_poll, next_poll, latest;        /* latest: the latest time ever seen, for clocks that fall back */
	unsigned failures;
	char waits[256], error[768];
	int error_status;
	int64_t error_time;
	bool error_of_verify;
	int64_t unsound;                     /* when `verify` found damage last, until it finds none; 0 = it has not */
	struct vn_happened history[VN_MAX_HISTORY];          /* newest last */
	size_t nhistory;
};

/* The journal of a state folder; one that is not there is an empty one. When the newest cannot be read, the one before it is taken and
 * *ret_older says so. VN_EDIGEST when neither can be. */
int vn_journal_read(const char *dir, struct vn_journal *ret, bool *ret_older, struct vn_err *err);
/* `keep_older`: what stands there now is damaged, and is not kept instead of the one before it. */
int vn_journal_write(const char *dir, const struct vn_journal *j, bool keep_older, struct vn_err *err);
int vn_journal_parse(const void *bytes, size_t len, struct vn_journal *ret, struct vn_err *err);
int vn_journal_text(const struct vn_journal *j, struct vn_buf *ret, struct vn_err *err);

/* NULL when there is none. */
struct vn_release *vn_journal_release(struct vn_journal *j, const struct vn_digest *manifest);
struct vn_release *vn_journal_active(struct vn_journal *j);
/* Puts it in front, instead of one with the same manifest; the last falls off a full list. */
void vn_journal_add(struct vn_journal *j, const struct vn_release *r);
/* What to go back to: of those that ran, are not active and that nobody found wanting, the one that ran last, before `turn` when that is
 * not 0. NULL: none. */
struct vn_release *vn_journal_before(struct vn_journal *j, uint64_t turn);
/* Whether a check or health command found it wanting here, and that one did or does not. */
bool vn_journal_is_wanting(const struct vn_journal *j, const struct vn_digest *manifest);
void vn_journal_set_wanting(struct vn_journal *j, const struct vn_digest *manifest, bool wanting);
/* This one became active now: gives it the next turn. */
void vn_journal_activate(struct vn_journal *j, struct vn_release *r, int64_t time);
void vn_journal_remove(struct vn_journal *j, const struct vn_digest *manifest);
void vn_journal_happened(struct vn_journal *j, int64_t time, const char *event, const struct vn_release *r, const char *detail,
			 uint64_t bytes);
#endif
