#include "registry/client.h"
#include "util/digest.h"
#include "util/limits.h"
#include <time.h>

#define BACKOFF_MS 500
#define MOST_BACKOFF_MS 30000
#define TELL_SECONDS 10              /* longer waits are told to people */

bool vn_client_worth_retry(unsigned status)
{
	return status == 408 || status == 425 || status == 429 || status == 499 || status == 522 ||
	       (status >= 500 && status <= 504 && status != 501);
}

static void really_pause(uint64_t ms)
{
	struct timespec ts = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) < 0)
		;
}

int vn_client_wait(struct vn_client *c, unsigned tries, const struct vn_http_response *r, struct vn_err *err)
{
	uint64_t ms = BACKOFF_MS, random = 0;
	int64_t asked = 0;
	const struct vn_registry_options *opt = vn_client_options(c);
	const char *registry = vn_client_registry(c);

	for (unsigned i = 1; i < tries && ms < MOST_BACKOFF_MS; i++)
		ms *= 2;
	if (ms > MOST_BACKOFF_MS)
		ms = MOST_BACKOFF_MS;
	if (vn_random(&random, sizeof random, err) < 0)
		return -err->code;
	ms = random % (ms + 1);
	if (r && vn_retry_after(r, &asked)) {
		if (asked > VN_MAX_RETRY_AFTER)
			return vn_fail(err, VN_ENETWORK, "%s answered %u and asks to be left alone for %lld seconds", registry,
				       r->status, (long long)asked);
		ms = (uint64_t)asked * 1000 + random % 250;
		if (asked >= TELL_SECONDS)
			vn_warn(vn_client_events(c), "%s answered %u and asks to wait %lld seconds; waiting", registry, r->status,
				(long long)asked);
	}
	vn_debug(vn_client_events(c), "%s: try %u in %llu ms", registry, tries + 1, (unsigned long long)ms);
	if (opt->pause)
		opt->pause(opt->pause_user, ms);
	else
		really_pause(ms);
	return 0;
}
