/* When a device may speak: durations, windows of the week, billing months, splay and backoff. Arithmetic only; the clock is the
 * caller's. */
#ifndef VN_PULL_CALENDAR_H
#define VN_PULL_CALENDAR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VN_DAY 86400
#define VN_WEEK (7 * VN_DAY)

/* "90", "90s", "15m", "1h", "7d": seconds, up to a year. */
bool vn_parse_duration(const char *text, int64_t *ret);

/* Seconds of a week that begins on Monday: [from, to), to > from; to may reach into the next week. */
struct vn_window {
	int32_t from, to;
};
#define VN_MAX_WINDOWS 64
struct vn_windows {
	struct vn_window list[VN_MAX_WINDOWS];
	size_t n;                    /* 0: always open */
};
/* Adds "01:00-05:00" (every day), "Mon-Fri 22:00-06:00", "Sat,Sun 00:00-24:00"; one that ends before it begins goes over midnight. */
bool vn_windows_add(struct vn_windows *w, const char *text);
/* Whether a window is open `week` seconds into the week. *ret_wait: seconds until the next one opens, 0 when open. */
bool vn_windows_open(const struct vn_windows *w, int64_t week, int64_t *ret_wait);
/* Seconds since Monday 00:00 of a time in UTC, `offset` seconds east of it. */
int64_t vn_week_seconds(int64_t now, int64_t offset);

/* The start of the billing month that `now` lies in, which begins at 00:00 UTC of `day` (1 to 28). */
int64_t vn_month_start(int64_t now, unsigned day);

/* A number in [0, range) that is always the same for one device and differs between devices. */
int64_t vn_splay(const char *device, int64_t range);
/* Full jitter: a number in [0, min(most, first * 2^failures)] chosen by `random`, never below 1 (AWS Architecture Blog, "Exponential
 * Backoff And Jitter"). */
int64_t vn_backoff(unsigned failures, int64_t first, int64_t most, uint64_t random);
#endif
