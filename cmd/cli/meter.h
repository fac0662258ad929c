/* Warnings, debug lines and progress of a running operation, on stderr. One line is redrawn, on a terminal only; elsewhere a
 * long transfer says where it is every half minute, and what took long says so when it has ended. */
#ifndef CLI_METER_H
#define CLI_METER_H
#include "cli/out.h"
#include "veneer/event.h"

#define METER_STREAMS 16

struct meter_stream {
	char what[160];          /* "" = free */
	uint64_t done, total;    /* total 0 = unknown */
	double since, said;      /* seconds, monotonic */
};
struct meter {
	struct out out;
	const char *program;     /* in front of warnings */
	bool quiet, verbose;
	struct meter_stream streams[METER_STREAMS];
	size_t last;             /* the stream that moved last */
	uint64_t ended;          /* bytes of streams that ended while others still run */
	uint64_t moved, measured;        /* all bytes seen; at the time of the last measurement */
	double rate, measured_at, drawn_at, started;
	bool drawn;              /* the terminal's line holds progress */
};
void meter_open(struct meter *meter, FILE *file, const char *program, bool quiet, bool verbose);
/* The struct vn_events.tell of a meter; `user` is the meter. */
void meter_tell(void *user, const struct vn_event *event);
/* Takes the progress line away. */
void meter_clear(struct meter *meter);
/* One line of progress at most `width` columns wide. */
void meter_line(const struct meter *meter, struct text *line, size_t width);
/* "45 s", "3:20", "1:02:03" */
void meter_time(struct text *text, double seconds);
double meter_now(void);
#endif
