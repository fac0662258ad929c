/* The only place of the library that asks what time it is: when a device may speak and until when a signature is good depend on it. */
#include "pull/pull.h"
#include <time.h>

int64_t vn_pull_clock(void)
{
	return (int64_t)time(NULL);
}

int64_t vn_pull_time(struct vn_pull *p)
{
	int64_t now = vn_pull_clock();
	return now > p->journal.latest ? now : p->journal.latest;
}

int64_t vn_pull_zone(const struct vn_pull *p, int64_t now)
{
	struct tm tm;
	time_t t = (time_t)now;
	return p->config.local_zone && localtime_r(&t, &tm) ? (int64_t)tm.tm_gmtoff : 0;
}
