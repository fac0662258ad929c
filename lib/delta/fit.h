/* The model that suits the residuals of one block: chosen by what it would cost in bits, integers only. */
#ifndef VN_DELTA_FIT_H
#define VN_DELTA_FIT_H
#include "delta/model.h"

#define VN_DELTA_FIT_CELLS 128
#define VN_DELTA_FIT_LAG 4608              /* most elements of a lag: a row of nine taps and 512 channels */

struct vn_delta_fit {                     /* what one thread needs */
	uint32_t logs[4097];              /* of 1 to 4096, to base 2, with 12 bits behind the point */
	uint32_t by_byte[256][VN_DELTA_SYMBOLS], by_average[256][VN_DELTA_SYMBOLS];
	uint32_t cell[VN_DELTA_FIT_CELLS][VN_DELTA_SYMBOLS];
	int64_t gain[VN_DELTA_FIT_CELLS][VN_DELTA_FIT_CELLS];
	uint64_t cost[256];
	uint32_t score[VN_DELTA_FIT_LAG + 1];
	uint32_t *merged[256];
	struct vn_delta_model model;
	size_t lag, raw_len;              /* 0 = none; bytes of model.raw */
};
struct vn_delta_elements {
	const uint8_t *predicted;
	const uint8_t *symbols;
	size_t count;
	unsigned width;
	uint16_t *averages;               /* room for count / 2 + 1 numbers */
	uint8_t *scratch;                 /* room for count bytes; then the table of each element */
};

void vn_delta_fit_init(struct vn_delta_fit *fit);
/* Fills model, lag, raw and the elements' tables. effort as in vn_delta_options. */
void vn_delta_fit(struct vn_delta_fit *fit, const struct vn_delta_elements *e, int effort);
#endif
