#include "util/events.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

/* Serialises calls into every sink; it guards nothing of ours. */
static pthread_mutex_t telling = PTHREAD_MUTEX_INITIALIZER;

static void tell(const struct vn_events *events, const struct vn_event *event)
{
	pthread_mutex_lock(&telling);
	events->tell(events->user, event);
	pthread_mutex_unlock(&telling);
}

__attribute__((format(printf, 3, 0))) static void tell_text(const struct vn_events *events, enum vn_event_kind kind,
							    const char *fmt, va_list args)
{
	char text[1024];
	if (vsnprintf(text, sizeof(text), fmt, args) < 0)
		return;
	tell(events, &(struct vn_event){ .kind = kind, .text = text });
}

void vn_warn(const struct vn_events *events, const char *fmt, ...)
{
	if (!events || !events->tell)
		return;
	va_list args;
	va_start(args, fmt);
	tell_text(events, VN_EVENT_WARNING, fmt, args);
	va_end(args);
}

void vn_debug(const struct vn_events *events, const char *fmt, ...)
{
	if (!events || !events->tell)
		return;
	va_list args;
	va_start(args, fmt);
	tell_text(events, VN_EVENT_DEBUG, fmt, args);
	va_end(args);
}

void vn_progress(const struct vn_events *events, const char *what, uint64_t done, uint64_t total)
{
	if (events && events->tell)
		tell(events, &(struct vn_event){ VN_EVENT_PROGRESS, what, done, total });
}

void vn_done(const struct vn_events *events, const char *what, uint64_t done)
{
	if (events && events->tell)
		tell(events, &(struct vn_event){ VN_EVENT_DONE, what, done, done });
}
