/* What is signed beside a digest, from what the caller typed. */
#include "api/sign.h"
#include "sign/claim.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_DAYS 36500              /* "90d" and "12h" reach a century ahead */
#define MOST_NOTES 256

struct note {
	char *key;                   /* owned; the value follows its NUL */
	const char *value;
};
struct notes {
	struct note at[MOST_NOTES];
	size_t n;
};

static void notes_release(struct notes *notes)
{
	for (size_t i = 0; i < notes->n; i++)
		free(notes->at[i].key);
}

static int add(struct notes *notes, const char *pair, struct vn_err *err)
{
	char *copy = NULL;
	if (notes->n >= MOST_NOTES)
		return vn_fail(err, VN_ELIMIT, "more than %d annotations", MOST_NOTES);
	int rc = vn_strdup(pair, &copy, err);
	if (rc < 0)
		return rc;
	char *equals = strchr(copy, '=');
	if (!equals || equals == copy) {
		free(copy);
		return vn_fail(err, VN_EUSAGE, "the annotation \"%.80s\" has no %s, expected KEY=VALUE", pair,
			       equals ? "key" : "\"=\"");
	}
	*equals = 0;
	notes->at[notes->n++] = (struct note){ copy, equals + 1 };
	return 0;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct note *)a)->key, ((const struct note *)b)->key);
}

static int reserved(const char *key, struct vn_err *err)
{
	bool release = !strcmp(key, VN_SIGN_RELEASE);
	if (!release && strcmp(key, VN_SIGN_EXPIRES))
		return 0;
	vn_fail(err, VN_EUSAGE, "the annotation %s has a meaning of its own", key);
	return vn_hint(err, "Give --%s.", release ? "release" : "expires");
}

int vn_sign_expiry(const char *text, int64_t now, int64_t *ret, struct vn_err *err)
{
	size_t len = strlen(text);
	char digits[16];
	uint64_t n;
	if (vn_parse_time(text, ret))
		return 0;
	if (len >= 2 && len < sizeof(digits) && (text[len - 1] == 'd' || text[len - 1] == 'h')) {
		uint64_t unit = text[len - 1] == 'd' ? 86400 : 3600;
		memcpy(digits, text, len - 1);
		digits[len - 1] = 0;
		if (vn_parse_u64(digits, &n) && n && n <= MOST_DAYS * 86400ull / unit) {
			*ret = now + (int64_t)(n * unit);
			return 0;
		}
	}
	return vn_fail(err, VN_EUSAGE,
		       "the expiry \"%.60s\" is none, expected a time such as 2027-01-31T00:00:00Z, or 90d or 12h", text);
}

static int add_own(struct notes *notes, const struct vn_sign_settings *settings, int64_t now, struct vn_err *err)
{
	char pair[VN_TIME_TEXT + 64], text[VN_TIME_TEXT];
	int64_t expires;
	int rc = 0;
	if (settings->release > VN_MAX_JSON_SIZE)
		return vn_fail(err, VN_EUSAGE, "the release %llu is too large, at most %lld",
			       (unsigned long long)settings->release, VN_MAX_JSON_SIZE);
	if (settings->release) {
		snprintf(pair, sizeof(pair), VN_SIGN_RELEASE "=%llu", (unsigned long long)settings->release);
		rc = add(notes, pair, err);
	}
	if (rc == 0 && settings->expires) {
		rc = vn_sign_expiry(settings->expires, now, &expires, err);
		if (rc < 0)
			return rc;
		snprintf(pair, sizeof(pair), VN_SIGN_EXPIRES "=%s", vn_time_text(expires, text));
		rc = add(notes, pair, err);
	}
	return rc;
}

int vn_sign_notes(const struct vn_sign_settings *settings, int64_t now, vn_json **ret, struct vn_err *err)
{
	VN_AUTO(notes) notes = { .n = 0 };
	int rc = 0;
	for (const char *const *a = settings->annotations; rc == 0 && a && *a; a++) {
		rc = add(&notes, *a, err);
		if (rc == 0)
			rc = reserved(notes.at[notes.n - 1].key, err);
	}
	if (rc == 0)
		rc = add_own(&notes, settings, now, err);
	if (rc < 0)
		return rc;
	qsort(notes.at, notes.n, sizeof(notes.at[0]), by_key);
	VN_AUTO_JSON *doc = notes.n ? vn_json_object() : NULL;
	for (size_t i = 0; i < notes.n; i++) {
		if (i && !strcmp(notes.at[i].key, notes.at[i - 1].key))
			return vn_fail(err, VN_EUSAGE, "the annotation \"%.80s\" is given twice", notes.at[i].key);
		if (!vn_json_set(doc, notes.at[i].key, vn_json_string(notes.at[i].value)))
			return vn_nomem(err);
	}
	*ret = vn_steal(doc);
	return 0;
}
