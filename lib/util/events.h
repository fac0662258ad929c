/* Telling struct vn_events. */
#ifndef VN_UTIL_EVENTS_H
#define VN_UTIL_EVENTS_H
#include "veneer/event.h"

/* `events` may be NULL. Calls are serialised. */
void vn_warn(const struct vn_events *events, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void vn_debug(const struct vn_events *events, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void vn_progress(const struct vn_events *events, const char *what, uint64_t done, uint64_t total);
void vn_done(const struct vn_events *events, const char *what, uint64_t done);
#endif
