/* What the reference names now, and the cheapest way to it. */
#ifndef VN_PULL_NEWS_H
#define VN_PULL_NEWS_H
#include "ocidelta/files.h"
#include "ocidelta/ocidelta.h"
#include "pull/pull.h"
#include "pull/staging.h"

struct vn_news {
	struct vn_source *channel;           /* registry, layout or archive; owned */
	bool import;
	struct vn_desc root;                 /* what the reference names there: a manifest or an index */
	struct vn_desc target;               /* the image manifest for this device */
	struct vn_signed proof;
	struct vn_staging staging;
	struct vn_source *staged;            /* over channel */
	struct vn_source *beside, *staged_beside;    /* over the delta's tag */
	struct vn_ocidelta delta;            /* nblobs 0 = none */
	bool has_delta;
	bool alone;                          /* the file holds the delta, and no image */
	uint64_t need;                       /* bytes still to come, by the way that was chosen */
};
void vn_news_release(struct vn_news *n);

/* HEAD (or the layout's entry): fills root. An archive that holds a delta alone names its target: then `delta` is filled as well. */
int vn_news_ask(struct vn_pull *p, struct vn_news *n, struct vn_err *err);
/* Signature, release counter, expiry; then which of an index's images is ours. VN_EREFUSED says why not. */
int vn_news_prove(struct vn_pull *p, struct vn_news *n, struct vn_err *err);
/* What this device is, and whether an image is for it: VN_EREFUSED. */
int vn_pull_platform(const struct vn_pull *p, struct vn_platform *ret, struct vn_err *err);
int vn_pull_runs_here(const struct vn_pull *p, const struct vn_image *image, struct vn_err *err);
/* Delta from the active release, or in full. */
int vn_news_find(struct vn_pull *p, struct vn_news *n, struct vn_err *err);
/* A delta that is at hand, and no image beside it: whether it starts from what runs here, and there is room; like vn_news_fetch. */
int vn_news_fits(struct vn_pull *p, struct vn_news *n, struct vn_err *err);
/* Everything that is needed comes to the shelf. VN_EDIGEST: the delta is no good (and the journal says so): find again. */
int vn_news_fetch(struct vn_pull *p, struct vn_news *n, struct vn_err *err);
#endif
