#include "cli/meter.h"
#include "veneer/text.h"
#include <string.h>
#include <time.h>

#define REDRAW 0.1         /* seconds between two drawings */
#define MEASURE 0.5        /* seconds between two measurements of the rate */
#define SAY_AGAIN 30.0     /* seconds between two lines about one stream where nothing can be redrawn */
#define WORTH_A_LINE 3.0   /* seconds that something took for its end to be told there */

double meter_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void meter_open(struct meter *meter, FILE *file, const char *program, bool quiet, bool verbose)
{
	memset(meter, 0, sizeof(*meter));
	out_open(&meter->out, file);
	meter->program = program;
	meter->quiet = quiet;
	meter->verbose = verbose;
	meter->started = meter->measured_at = meter_now();
}

void meter_clear(struct meter *meter)
{
	if (!meter->drawn)
		return;
	out_put(&meter->out, "\r\033[K");
	fflush(meter->out.file);
	meter->drawn = false;
}

void meter_time(struct text *text, double seconds)
{
	unsigned long long s = seconds < 1 ? 1 : (unsigned long long)(seconds + 0.5);

	if (s < 100)
		text_addf(text, "%llu s", s);
	else if (s < 3600)
		text_addf(text, "%llu:%02llu", s / 60, s % 60);
	else
		text_addf(text, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
}

static void add_numbers(const struct meter *meter, uint64_t done, uint64_t total, struct text *line)
{
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT];

	text_addf(line, "  %s", vn_size_text(done, a));
	if (total)
		text_addf(line, " of %s  %u %%", vn_size_text(total, b),
			  done >= total ? 100u : (unsigned)((double)done * 100 / (double)total));
	if (meter->rate >= 1)
		text_addf(line, "  %s/s", vn_size_text((uint64_t)meter->rate, a));
	if (meter->rate >= 1 && total > done && (double)(total - done) / meter->rate < 360000) {
		text_add(line, "  ");
		meter_time(line, (double)(total - done) / meter->rate);
		text_add(line, " left");
	}
}

void meter_line(const struct meter *meter, struct text *line, size_t width)
{
	OUT_CLEANUP(text_release) struct text numbers = { 0 }, what = { 0 };
	uint64_t done = meter->ended, total = meter->ended;
	bool known = true;
	size_t n = 0, room;

	for (size_t i = 0; i < METER_STREAMS; i++) {
		const struct meter_stream *stream = &meter->streams[i];

		if (!stream->what[0])
			continue;
		n++;
		done += stream->done;
		total += stream->total > stream->done ? stream->total : stream->done;
		known &= stream->total != 0;
	}
	if (n > 1)
		text_addf(&numbers, " (+%zu)", n - 1);
	add_numbers(meter, done, known ? total : 0, &numbers);
	room = text_width(text_get(&numbers));
	room = width > room + 8 ? width - room : 8;
	text_escape(&what, meter->streams[meter->last].what);
	if (text_width(text_get(&what)) > room) {
		text_add_bytes(line, text_get(&what), text_fit(text_get(&what), room - 1));
		text_add(line, "…");
	} else {
		text_add(line, text_get(&what));
	}
	text_add_bytes(line, text_get(&numbers), text_fit(text_get(&numbers), width > 8 ? width - 8 : 0));
}

static void measure(struct meter *meter, double now)
{
	double seconds = now - meter->measured_at, rate;

	if (seconds < MEASURE)
		return;
	rate = (double)(meter->moved - meter->measured) / seconds;
	meter->rate = meter->rate >= 1 ? 0.7 * meter->rate + 0.3 * rate : rate;
	meter->measured = meter->moved;
	meter->measured_at = now;
}

static void draw(struct meter *meter, double now)
{
	OUT_CLEANUP(text_release) struct text line = { 0 };

	if (now - meter->drawn_at < REDRAW)
		return;
	meter_line(meter, &line, meter->out.width - 1);
	out_put(&meter->out, "\r");
	out_put(&meter->out, text_get(&line));
	out_put(&meter->out, "\033[K");
	fflush(meter->out.file);
	meter->drawn = true;
	meter->drawn_at = now;
}

static struct meter_stream *stream_of(struct meter *meter, const char *what, bool make)
{
	struct meter_stream *unused = NULL;
	size_t len = strnlen(what, sizeof(unused->what) - 1);

	for (size_t i = 0; i < METER_STREAMS; i++) {
		struct meter_stream *stream = &meter->streams[i];

		if (!stream->what[0])
			unused = unused ? unused : stream;
		else if (strlen(stream->what) == len && !memcmp(stream->what, what, len))
			return stream;
	}
	if (!make || !unused || !len)
		return NULL;
	memset(unused, 0, sizeof(*unused));
	memcpy(unused->what, what, len);
	unused->since = unused->said = meter_now();
	return unused;
}

static bool any_runs(const struct meter *meter)
{
	for (size_t i = 0; i < METER_STREAMS; i++)
		if (meter->streams[i].what[0])
			return true;
	return false;
}

static void say_where(struct meter *meter, struct meter_stream *stream, double now)
{
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT];

	if (now - stream->said < SAY_AGAIN)
		return;
	stream->said = now;
	out_escaped(&meter->out, stream->what);
	if (stream->total)
		out_printf(&meter->out, ": %s of %s\n", vn_size_text(stream->done, a), vn_size_text(stream->total, b));
	else
		out_printf(&meter->out, ": %s\n", vn_size_text(stream->done, a));
}

static void progress(struct meter *meter, const struct vn_event *event)
{
	struct meter_stream *stream = stream_of(meter, event->text, true);
	double now = meter_now();

	if (!stream)
		return;
	meter->last = (size_t)(stream - meter->streams);
	if (event->done > stream->done)
		meter->moved += event->done - stream->done;
	stream->done = event->done;
	stream->total = event->total;
	measure(meter, now);
	if (meter->out.terminal)
		draw(meter, now);
	else
		say_where(meter, stream, now);
}

static void ended(struct meter *meter, const struct vn_event *event)
{
	OUT_CLEANUP(text_release) struct text took = { 0 };
	struct meter_stream *stream = stream_of(meter, event->text, false);
	char size[VN_SIZE_TEXT];
	double seconds;

	if (!stream)
		return;
	if (event->done > stream->done)
		meter->moved += event->done - stream->done;
	meter->ended += event->done;
	seconds = meter_now() - stream->since;
	if (!meter->out.terminal && seconds >= WORTH_A_LINE) {
		meter_time(&took, seconds);
		out_escaped(&meter->out, stream->what);
		out_printf(&meter->out, ": %s in %s\n", vn_size_text(event->done, size), text_get(&took));
	}
	stream->what[0] = '\0';
	if (!any_runs(meter)) {
		meter->ended = 0;
		meter_clear(meter);
		return;
	}
	for (size_t i = 0; i < METER_STREAMS; i++)
		if (meter->streams[i].what[0])
			meter->last = i;
}

void meter_tell(void *user, const struct vn_event *event)
{
	struct meter *meter = user;

	if (meter->quiet || !event->text)
		return;
	switch (event->kind) {
	case VN_EVENT_WARNING:
		meter_clear(meter);
		out_label(&meter->out, OUT_NOTE, meter->program, " warning:");
		out_escaped(&meter->out, event->text);
		out_put(&meter->out, "\n");
		break;
	case VN_EVENT_DEBUG:
		if (!meter->verbose)
			break;
		meter_clear(meter);
		out_printf(&meter->out, "[%7.3f] ", meter_now() - meter->started);
		out_escaped(&meter->out, event->text);
		out_put(&meter->out, "\n");
		break;
	case VN_EVENT_PROGRESS:
		progress(meter, event);
		break;
	case VN_EVENT_DONE:
		ended(meter, event);
		break;
	}
}
