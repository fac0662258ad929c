/* What the commands behind `veneer delta` share. */
#ifndef CMD_DELTA_H
#define CMD_DELTA_H
#include "show.h"

struct delta_options {
	struct cmd_common common;
	const char *output, *platform, *to, *delta, *digest;
	struct opt_list from;
	unsigned effort, interop;        /* 0 = not given */
	uint64_t target_memory, max_memory;
	bool files, images, larger, regions;
};

/* A result for people; regions too when `all`. */
void delta_show(struct out *out, const struct vn_delta_result *result, bool all);
#endif
