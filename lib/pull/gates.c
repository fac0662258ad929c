/* What an update waits for: windows, money, the inhibit file. */
#include "pull/pull.h"
#include "util/fs.h"
#include "util/num.h"
#include <stdarg.h>
#include <stdio.h>

int vn_pull_waits(struct vn_pull *p, struct vn_err *err, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(p->journal.waits, sizeof(p->journal.waits), fmt, args);
	va_end(args);
	p->report.outcome = VN_PULL_WAITS;
	p->report.why = vn_arena_text(&p->report_arena, p->journal.waits, err);
	vn_pull_tell(p, "waits", NULL, p->journal.waits, 0);
	return p->report.why ? vn_pull_say(p, err, "Nothing is fetched now: %s.", p->journal.waits) : -(int)err->code;
}

int vn_pull_inhibited(struct vn_pull *p, struct vn_err *err)
{
	if (!p->config.inhibit || !vn_fs_exists(p->config.inhibit))
		return 0;
	int r = vn_pull_waits(p, err, "%s is there", p->config.inhibit);
	return r < 0 ? r : 1;
}

int vn_pull_closed(struct vn_pull *p, struct vn_err *err)
{
	int64_t now = vn_pull_time(p), wait;
	char at[VN_TIME_TEXT], used[VN_SIZE_TEXT], most[VN_SIZE_TEXT];
	int r = 0;
	if (!vn_windows_open(&p->config.windows, vn_week_seconds(now, vn_pull_zone(p, now)), &wait))
		r = vn_pull_waits(p, err, "the next window opens at %s", vn_time_text(now + wait, at));
	else if (p->config.month_budget && p->journal.month_bytes >= p->config.month_budget)
		r = vn_pull_waits(p, err, "%s of %s are used up this month", vn_size_text(p->journal.month_bytes, used),
				  vn_size_text(p->config.month_budget, most));
	else
		return 0;
	return r < 0 ? r : 1;
}

/* What fetching that many bytes takes on the wire: headers, acknowledgements, a handshake. */
static uint64_t on_the_wire(uint64_t bytes)
{
	return bytes + bytes / 12 + 8192;
}

int vn_pull_reserve(struct vn_pull *p, uint64_t need, uint64_t before, struct vn_err *err)
{
	uint64_t want = on_the_wire(need), most = p->config.month_budget;
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT], c[VN_SIZE_TEXT];
	int r;
	vn_pull_account(p);
	if (!p->now && p->config.update_budget && want + before > p->config.update_budget)
		r = vn_pull_waits(p, err, "the update takes %s, and \"budget\" allows %s for one", vn_size_text(want + before, a),
				  vn_size_text(p->config.update_budget, b));
	else if (!p->now && most && p->journal.month_bytes + want > most)
		r = vn_pull_waits(p, err, "the update takes %s, and of %s this month %s are used", vn_size_text(want, a),
				  vn_size_text(most, b), vn_size_text(p->journal.month_bytes, c));
	else {
		p->journal.reserved = want;
		return 0;
	}
	return r < 0 ? r : 1;
}
