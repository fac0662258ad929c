/* Deltas in testdata/deltas/v1 were written once and apply for ever; old and new are made here, by integers alone. */
#include "delta/delta.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/num.h"
#include "util/test.h"
#include <stdlib.h>

#define DIR_PATH "testdata/deltas/v1/"
#define MOST 40960

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8 ^ *seed << 13;
}

/* Floats of four bytes that moved a little, from two places; some became 0. */
static void tuned(uint8_t *old, size_t *old_len, uint8_t *data, size_t *len)
{
	uint32_t seed = 1;
	*old_len = 5200;
	*len = 4600;
	for (size_t i = 0; i < *old_len; i += 4)
		vn_put_u32(old + i, (next(&seed) & 0x80000000u) | (120 + next(&seed) % 4) << 23 | (next(&seed) & 0x7fffff));
	for (size_t i = 0; i < *len; i++)
		data[i] = i < 8 ? (uint8_t)(17 * i) : i < 4500 ? old[i + 400] : i < 4513 ? (uint8_t)i : old[i + 387];
	for (size_t i = 8; i + 4 <= *len; i += 4)
		vn_put_u32(data + i, next(&seed) % 3 ? vn_get_u32(data + i) : vn_get_u32(data + i) + next(&seed) % 4);
	for (size_t i = 1000; i < 1400; i += 12)
		vn_put_u32(data + i, 0);
}

/* Parts of old in another order. */
static void moved(uint8_t *old, size_t *old_len, uint8_t *data, size_t *len)
{
	uint32_t seed = 2;
	*old_len = *len = 15000;
	for (size_t i = 0; i < *old_len; i++)
		old[i] = (uint8_t)next(&seed);
	memcpy(data, old + 6001, 8999);
	memcpy(data + 8999, old, 6001);
}

/* Whole pieces of a coarse map, by two shifts. */
static void shifted(uint8_t *old, size_t *old_len, uint8_t *data, size_t *len)
{
	uint32_t seed = 4;
	*old_len = *len = 40000;
	for (size_t i = 0; i < *old_len; i++)
		old[i] = (uint8_t)next(&seed);
	memcpy(data, old + 1000, 16384);
	memcpy(data + 16384, old + 77, *len - 16384);
}

/* Unlike each other: what a converting map predicts wrongly is in the residual. */
static void unlike(uint8_t *old, size_t *old_len, uint8_t *data, size_t *len)
{
	tuned(old, old_len, data, len);
	*len = 1100;
	for (size_t i = 0; i < *len; i++)
		data[i] = (uint8_t)(i * 7);
}

/* The first block again, a little later. */
static void repeated(uint8_t *old, size_t *old_len, uint8_t *data, size_t *len)
{
	uint32_t seed = 3;
	*old_len = 100;
	*len = 7000;
	memset(old, 7, *old_len);
	for (size_t i = 0; i < *len; i++)
		data[i] = i < 1000 ? (uint8_t)next(&seed) : data[i - 1000];
}

static void emptied(uint8_t *old, size_t *old_len, uint8_t *data, size_t *len)
{
	(void)data;
	*old_len = 3;
	*len = 0;
	memcpy(old, "abc", 3);
}

/* gzip of some text, at zlib's level 6 */
static const uint8_t old_gzip[] = {
	31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 101, 144, 73, 10, 2, 65, 12, 69, 247, 125,
	138, 58, 66, 37, 169, 12, 117, 28, 23, 141, 10, 189, 18, 65, 188, 189, 34, 230, 151, 152,
	237, 227, 79, 201, 113, 122, 238, 183, 38, 179, 61, 246, 235, 249, 114, 111, 131, 66, 183, 227,
	3, 153, 19, 134, 197, 248, 66, 74, 230, 198, 145, 76, 33, 28, 51, 89, 79, 246, 14, 76,
	51, 203, 114, 163, 102, 185, 141, 37, 35, 101, 192, 110, 222, 19, 26, 86, 118, 216, 209, 35,
	170, 41, 228, 37, 84, 199, 34, 76, 55, 137, 94, 103, 146, 103, 121, 96, 37, 71, 97, 76,
	102, 255, 213, 225, 25, 39, 107, 141, 212, 14, 118, 134, 18, 129, 74, 184, 154, 214, 199, 67,
	70, 201, 228, 233, 86, 148, 198, 216, 77, 243, 167, 189, 188, 220, 124, 250, 246, 2, 181, 238,
	94, 231, 239, 1, 0, 0,
};
static const uint8_t new_gzip[] = {
	31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 101, 144, 75, 10, 195, 48, 12, 68, 247, 57,
	133, 143, 96, 141, 172, 143, 143, 211, 69, 104, 10, 89, 149, 64, 232, 237, 11, 37, 146, 75,
	188, 125, 204, 232, 141, 189, 63, 62, 235, 187, 112, 47, 231, 250, 122, 110, 71, 105, 228, 178,
	236, 63, 8, 4, 116, 245, 118, 65, 10, 102, 10, 191, 152, 5, 35, 112, 196, 106, 50, 151,
	232, 130, 71, 57, 45, 36, 1, 21, 28, 23, 185, 101, 93, 173, 6, 212, 28, 89, 179, 158,
	30, 22, 137, 32, 70, 80, 172, 135, 39, 151, 43, 123, 157, 103, 146, 133, 220, 115, 37, 124,
	98, 32, 213, 187, 218, 45, 206, 241, 88, 195, 179, 3, 134, 76, 230, 65, 161, 124, 53, 141,
	15, 119, 110, 119, 115, 19, 181, 41, 168, 200, 217, 212, 255, 228, 211, 143, 171, 117, 91, 190,
	194, 100, 177, 210, 237, 1, 0, 0,
};

static void packed(uint8_t *old, size_t *old_len, uint8_t *data, size_t *len)
{
	*old_len = sizeof(old_gzip);
	*len = sizeof(new_gzip);
	memcpy(old, old_gzip, sizeof(old_gzip));
	memcpy(data, new_gzip, sizeof(new_gzip));
}

static const struct {
	const char *name;
	void (*make)(uint8_t *old, size_t *old_len, uint8_t *data, size_t *len);
} vectors[] = {
	{ "xor-1-dense", tuned },
	{ "xor-1-sparse", tuned },
	{ "xor-2-dense", tuned },
	{ "xor-2-sparse", tuned },
	{ "xor-4-dense", tuned },
	{ "xor-4-sparse", tuned },
	{ "xor-8-dense", tuned },
	{ "xor-8-sparse", tuned },
	{ "xor-fine-sparse", tuned },
	{ "xor-fine-dense", tuned },
	{ "xor-converted", unlike },
	{ "sub-1-dense", tuned },
	{ "sub-1-sparse", tuned },
	{ "sub-1-classes", tuned },
	{ "sub-2-dense", tuned },
	{ "sub-2-sparse", tuned },
	{ "sub-2-classes", tuned },
	{ "sub-4-dense", tuned },
	{ "sub-4-sparse", tuned },
	{ "sub-4-classes", tuned },
	{ "sub-8-dense", tuned },
	{ "sub-8-sparse", tuned },
	{ "sub-8-classes", tuned },
	{ "sub-fine-sparse", tuned },
	{ "sub-fine-dense", tuned },
	{ "sub-converted", unlike },
	{ "fsub-1-dense", tuned },
	{ "fsub-1-sparse", tuned },
	{ "fsub-1-classes", tuned },
	{ "fsub-2-dense", tuned },
	{ "fsub-2-sparse", tuned },
	{ "fsub-2-classes", tuned },
	{ "fsub-4-dense", tuned },
	{ "fsub-4-sparse", tuned },
	{ "fsub-4-classes", tuned },
	{ "fsub-8-dense", tuned },
	{ "fsub-8-sparse", tuned },
	{ "fsub-8-classes", tuned },
	{ "fsub-fine-sparse", tuned },
	{ "fsub-fine-dense", tuned },
	{ "fsub-converted", unlike },
	{ "sub-8-phase-1", tuned },
	{ "sub-8-phase-2", tuned },
	{ "sub-8-phase-3", tuned },
	{ "sub-8-phase-4", tuned },
	{ "sub-8-phase-5", tuned },
	{ "sub-8-phase-6", tuned },
	{ "sub-8-phase-7", tuned },
	{ "sub-fine-classes", tuned },
	{ "fsub-zeros", tuned },
	{ "sub-zeros", tuned },
	{ "copy-coarse", shifted },
	{ "copy-fine", moved },
	{ "raw", repeated },
	{ "ref", tuned },
	{ "planes", unlike },
	{ "encoder", tuned },
	{ "members", packed },
	{ "empty", emptied },
};

/* What the vectors use. */
struct seen {
	bool modes[VN_DELTA_MODES], fine[VN_DELTA_MODES], sparse[VN_DELTA_MODES], classes[VN_DELTA_MODES];
	bool converted[VN_DELTA_MODES], coarse[VN_DELTA_MODES], dense[VN_DELTA_MODES];
	bool widths[9], phases[8], members, history;
};

static int see(void *context, const struct vn_delta_record *r, struct vn_err *err)
{
	struct seen *s = context;
	const char *width = strstr(r->facts, "width "), *phase = strstr(r->facts, "phase ");
	bool fine = strstr(r->facts, "fine map"), sparse = strstr(r->facts, "sparse"), classes = strstr(r->facts, "classes");
	bool converted = strstr(r->facts, "converted");
	(void)err;
	s->modes[r->mode] = true;
	s->fine[r->mode] |= fine;
	s->converted[r->mode] |= converted;
	s->coarse[r->mode] |= !fine && !converted;
	s->sparse[r->mode] |= sparse;
	s->classes[r->mode] |= classes;
	s->dense[r->mode] |= !sparse && !classes;
	s->history |= strstr(r->facts, "history ") && !strstr(r->facts, "history 0");
	if (width)
		s->widths[width[6] - '0'] = true;
	if (phase)
		s->phases[phase[6] - '0'] = true;
	return 0;
}

static void read_file(const char *name, struct vn_buf *ret)
{
	char path[128], buf[4096];
	struct vn_err err = { 0 };
	snprintf(path, sizeof(path), DIR_PATH "%s", name);
	FILE *f = fopen(path, "rb");
	CHECK(f != NULL);
	if (!f)
		return;
	size_t n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	CHECK(n > 0 && n <= 2048);
	CHECK_OK(vn_buf_add(ret, buf, n, &err), &err);
}

static void test_apply(void)
{
	static uint8_t old[MOST], data[MOST];
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		struct vn_err err = { 0 };
		VN_AUTO(vn_buf) delta = VN_BUF(MOST), rebuilt = VN_BUF(MOST);
		VN_AUTO_IN *in = NULL;
		VN_AUTO_OUT *out = NULL;
		struct vn_delta_bytes from;
		size_t old_len = 0, len = 0;
		vectors[i].make(old, &old_len, data, &len);
		vn_delta_old_bytes(&from, old, old_len);
		read_file(vectors[i].name, &delta);
		CHECK_OK(vn_in_memory(delta.data, delta.len, &in, &err), &err);
		CHECK_OK(vn_out_buf(&rebuilt, &out, &err), &err);
		CHECK_OK(vn_delta_apply(&from.old, in, out, NULL, &err), &err);
		bool same = rebuilt.len == len && (len == 0 || memcmp(rebuilt.data, data, len) == 0);
		CHECK(same);
		if (!same)
			printf("# %s\n", vectors[i].name);
	}
}

static void test_coverage(void)
{
	struct seen s = { .members = false };
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		struct vn_err err = { 0 };
		struct vn_delta_head head = { .members = false };
		VN_AUTO(vn_buf) delta = VN_BUF(MOST);
		VN_AUTO_IN *in = NULL;
		read_file(vectors[i].name, &delta);
		CHECK_OK(vn_in_memory(delta.data, delta.len, &in, &err), &err);
		CHECK_OK(vn_delta_walk(in, &head, see, &s, &err), &err);
		s.members |= head.members;
	}
	for (unsigned mode = 0; mode < VN_DELTA_MODES; mode++) {
		printf("# %s:%s%s%s%s%s%s\n", vn_delta_mode_name(mode), s.coarse[mode] ? " coarse" : "", s.fine[mode] ? " fine" : "",
		       s.converted[mode] ? " converted" : "", s.dense[mode] ? " dense" : "", s.sparse[mode] ? " sparse" : "",
		       s.classes[mode] ? " classes" : "");
		CHECK(s.modes[mode]);
		if (mode >= VN_DELTA_XOR)
			CHECK(s.coarse[mode] && s.fine[mode] && s.converted[mode] && s.dense[mode] && s.sparse[mode]);
		if (mode > VN_DELTA_XOR)
			CHECK(s.classes[mode]);
	}
	CHECK(s.coarse[VN_DELTA_COPY] && s.fine[VN_DELTA_COPY]);
	CHECK(s.widths[1] && s.widths[2] && s.widths[4] && s.widths[8]);
	for (int phase = 0; phase < 8; phase++)
		CHECK(s.phases[phase]);
	CHECK(s.members && s.history);
}

int main(void)
{
	RUN(test_apply);
	RUN(test_coverage);
	return vn_test_end();
}
