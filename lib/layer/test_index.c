#include "layer/facts.h"
#include "layer/fixture.h"
#include "layer/index_format.h"
#include "util/limits.h"
#include <sys/stat.h>
#include <unistd.h>

static void open_text(const char *text, struct vn_layer_index *x)
{
	struct vn_err err = { 0 };
	*x = (struct vn_layer_index)VN_LAYER_INDEX;
	CHECK_OK(index_text(text, x, &err), &err);
}

/* "kind path >link #group !hides ~stamped", one behind the other */
static const char *list(const char *text)
{
	static char out[4096];
	struct vn_layer_index x = VN_LAYER_INDEX;
	struct vn_err err = { 0 };
	struct vn_cursor *c = NULL;
	struct vn_entry e;
	size_t at = 0;
	int more = 0;
	out[0] = 0;
	if (index_text(text, &x, &err) < 0) {
		snprintf(out, sizeof(out), "error %d", (int)err.code);
		return out;
	}
	CHECK_OK(vn_cursor_open(&x, &c, &err), &err);
	while (c && (more = vn_cursor_next(c, &e, &err)) > 0) {
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%c %s", at ? ", " : "", e.kind, *e.path ? e.path : "/");
		if (e.link)
			at += (size_t)snprintf(out + at, sizeof(out) - at, ">%s", e.link);
		if (e.group)
			at += (size_t)snprintf(out + at, sizeof(out) - at, "#%d", (int)e.group);
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s", e.flags & VN_ENTRY_HIDES ? "!" : "");
	}
	CHECK_EQ(more, 0);
	vn_cursor_close(c);
	vn_layer_index_release(&x);
	return out;
}

static void test_kinds(void)
{
	struct vn_layer_index x;
	struct vn_cursor *c = NULL;
	struct vn_err err = { 0 };
	struct vn_entry e;
	open_text("f file text; d dir 0700; l link to/there; c null 1:3; p fifo; x attr k=v; m late 1234567890", &x);
	CHECK_EQ(x.records, 7);
	CHECK_EQ(x.weight, 7 * 100 + 4);
	CHECK_EQ(x.plain_size % 512, 0);
	CHECK_OK(vn_cursor_open(&x, &c, &err), &err);
	CHECK_EQ(vn_cursor_next(c, &e, &err), 1);
	CHECK_STR(e.path, "attr");
	CHECK(e.flags & VN_ENTRY_XATTRS && e.xattrs_len == 5 && !memcmp(e.xattrs, "\1k\0\1v", 5));
	CHECK_EQ(vn_cursor_next(c, &e, &err), 1);
	CHECK(e.kind == 'd' && e.mode == 0700);
	CHECK_EQ(vn_cursor_next(c, &e, &err), 1);
	CHECK(e.kind == 'p');
	CHECK_EQ(vn_cursor_next(c, &e, &err), 1);
	CHECK(e.kind == '-' && e.size == 4 && e.mode == 0644);
	CHECK_EQ(vn_cursor_next(c, &e, &err), 1);
	CHECK_EQ(e.mtime, 1234567890);
	CHECK_EQ(vn_cursor_next(c, &e, &err), 1);
	CHECK(e.kind == 'l');
	CHECK_STR(e.link, "to/there");
	CHECK_EQ(vn_cursor_next(c, &e, &err), 1);
	CHECK(e.kind == 'c' && e.major == 1 && e.minor == 3);
	CHECK_EQ(vn_cursor_next(c, &e, &err), 0);
	CHECK_EQ(vn_cursor_next(c, &e, &err), 0);
	vn_cursor_close(c);
	vn_layer_index_release(&x);
}

static void test_order_and_repeats(void)
{
	CHECK_STR(list(""), "");
	CHECK_STR(list("d /"), "d /");
	CHECK_STR(list("f a.b 1; f a/b 1; d a; f a-b 1"), "d a, - a/b, - a-b, - a.b");
	CHECK_STR(list("f a 1; f a 2; l a x"), "l a>x");
	CHECK_STR(list("w a; f a 1"), "- a!");
	CHECK_STR(list("f a 1; w a"), "- a!");
	CHECK_STR(list("d a; o a; f a/x 1"), "d a!, - a/x");
	CHECK_STR(list("o a; f a/x 1"), "o a!, - a/x");
	CHECK_STR(list("o ; f x 1"), "o /!, - x");
	CHECK_STR(list("w a; w a; w b"), "w a!, w b!");
	CHECK_STR(list("w a/b; w a/c"), "w a/b!, w a/c!");
	/* AUFS's own, and names that only look so */
	CHECK_STR(list("f .wh..wh.aufs 1; d .wh..wh.plnk; f .wh..wh.plnk/12.34 1; f a.wh.b 1; f .wh 1"), "- .wh, - a.wh.b");
}

static void test_hard_links(void)
{
	CHECK_STR(list("f a 1; h b a"), "- a#1, - b#1");
	CHECK_STR(list("f z 1; h b z; h c b"), "- b#3, - c#3, - z#3");
	CHECK_STR(list("h c b; h b a; f a 1"), "- a#1, - b#1, - c#1");
	CHECK_STR(list("h b a"), "h b>a");
	CHECK_STR(list("h b a; h c b"), "h b>a, h c>b");
	CHECK_STR(list("l a x; h b a"), "l a>x#1, l b>x#1");
	CHECK_STR(list("p a; h b a; c c 1:2; h d c"), "p a#1, p b#1, c c#3, c d#3");
	CHECK_STR(list("d a; h b a"), "error 9");
	CHECK_STR(list("w a; h b a"), "error 9");
	CHECK_STR(list("h a b; h b a"), "error 9");
	CHECK_STR(list("h a a"), "error 9");
}

static void test_unsafe(void)
{
	CHECK_STR(list("l a b; f a/x 1"), "error 9");
	CHECK_STR(list("f a/x 1; l a b"), "error 9");
	CHECK_STR(list("f a 1; d a/x"), "error 9");
	CHECK_HAS(list("f / 1"), "error");
	CHECK_HAS(list("l / a"), "error");
	CHECK_STR(list("f .wh.. 1"), "error 9");
	CHECK_STR(list("f d/.wh... 1"), "error 9");
	CHECK_STR(list("f .wh.a/x 1"), "error 9");
	CHECK_STR(list("f d/.wh.a/x/y 1"), "error 9");
	CHECK_STR(list("d d/.wh.a/x"), "error 9");
}

/* ---- bytecode */
static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* magic, header layout and where the stamp stands */
static const struct bytecode {
	unsigned magic;
	size_t stamp;
	uint32_t flags;
	bool stamped;
} bytecodes[] = {
	{ 3413, 8, 0, true },    /* 3.8 */
	{ 3495, 8, 0, true },    /* 3.11 */
	{ 3413, 8, 1, false },   /* PEP 552: by hash */
	{ 3379, 4, 7, true },    /* 3.6 */
	{ 3230, 4, 7, true },    /* 3.3 */
	{ 62211, 4, 7, true },   /* 2.7 */
};

static size_t write_bytecode(uint8_t out[200], const struct bytecode *b, uint32_t stamp)
{
	memset(out, 0xe3, 200);
	out[0] = (uint8_t)b->magic, out[1] = (uint8_t)(b->magic >> 8), out[2] = '\r', out[3] = '\n';
	put32(out + 4, b->flags);
	put32(out + b->stamp, stamp);
	return 200;
}

static void one_entry(const char *path, const void *data, size_t len, size_t chunk, struct vn_entry *ret)
{
	struct pen p;
	struct vn_layer_index x = VN_LAYER_INDEX;
	struct vn_err err = { 0 };
	struct vn_cursor *c = NULL;
	pen_open(&p);
	pen_file(&p, path, data, len);
	pen_close(&p);
	CHECK_OK(index_bytes(p.bytes.data, p.bytes.len, chunk, &x, &err), &err);
	CHECK_OK(vn_cursor_open(&x, &c, &err), &err);
	CHECK_EQ(vn_cursor_next(c, ret, &err), 1);
	vn_cursor_close(c);
	vn_layer_index_release(&x);
	vn_buf_release(&p.bytes);
}

static void test_bytecode(void)
{
	uint8_t one[200], two[200];
	struct vn_entry a, b;
	for (size_t i = 0; i < sizeof(bytecodes) / sizeof(bytecodes[0]); i++) {
		size_t len = write_bytecode(one, &bytecodes[i], 1000);
		write_bytecode(two, &bytecodes[i], 2000);
		/* short files end before the head is full */
		for (; len >= 17; len = len == 200 ? 65 : len == 65 ? 63 : len == 63 ? 17 : 0) {
			one_entry("m.pyc", one, len, 0, &a);
			one_entry("m.pyc", two, len, 1, &b);
			CHECK_EQ((a.flags & VN_ENTRY_STAMPED) != 0, bytecodes[i].stamped);
			CHECK(memcmp(a.print, b.print, VN_PRINT_SIZE));
			CHECK_EQ(!memcmp(a.bare, b.bare, VN_PRINT_SIZE), 1);
		}
		one_entry("m.dat", one, 200, 0, &a);
		CHECK(!(a.flags & VN_ENTRY_STAMPED));
		one_entry("m.pyo", one, 200, 0, &a);
		CHECK_EQ((a.flags & VN_ENTRY_STAMPED) != 0, bytecodes[i].stamped);
		two[199] ^= 1;
		one_entry("m.pyc", one, 200, 0, &a);
		one_entry("m.pyc", two, 200, 0, &b);
		CHECK(!bytecodes[i].stamped || memcmp(a.bare, b.bare, VN_PRINT_SIZE));
	}
	one_entry("m.pyc", one, 15, 0, &a);
	CHECK(!(a.flags & VN_ENTRY_STAMPED));
	one_entry("m.pyc", "no bytecode at all, just text", 29, 0, &a);
	CHECK(!(a.flags & VN_ENTRY_STAMPED));
	one_entry("m.pyc", "", 0, 0, &a);
	CHECK(!(a.flags & VN_ENTRY_STAMPED));
}

/* ---- the same index however the stream is cut */
static void read_file(const struct vn_layer_index *x, struct vn_buf *ret)
{
	struct vn_err err = { 0 };
	struct vn_in *in = NULL;
	struct stat st;
	CHECK(fstat(x->fd, &st) == 0);
	CHECK_OK(vn_in_slice(x->fd, 0, (uint64_t)st.st_size, "index", &in, &err), &err);
	CHECK_OK(vn_in_read_all(in, ret, &err), &err);
	vn_in_close(in);
}

static void rich_tar(struct pen *p)
{
	uint8_t code[200];
	static const char status[] = "Package: a\nStatus: install ok installed\nVersion: 1.0\nArchitecture: all\n\n";
	char long_path[400];
	pen_open(p);
	pen_text(p, "d a; f a/x some text; l s a; c n 1:3; p q; w gone; o a; x attr k=v; h hard a/x");
	write_bytecode(code, &bytecodes[0], 77);
	pen_file(p, "m.pyc", code, 200);
	write_bytecode(code, &bytecodes[5], 78);
	pen_file(p, "old.pyc", code, 90);
	pen_file(p, "var/lib/dpkg/status", status, sizeof(status) - 1);
	pen_file(p, "m.pkl", "\x80\x04N.", 4);
	memset(long_path, 'p', sizeof(long_path));
	for (size_t i = 50; i < sizeof(long_path); i += 50)
		long_path[i] = '/';
	long_path[399] = 0;
	pen_file(p, long_path, "deep", 4);
	pen_close(p);
}

static void test_chunks(void)
{
	struct pen p;
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) first = VN_BUF(1 << 20);
	rich_tar(&p);
	for (size_t chunk = 0; chunk < 1100; chunk += chunk < 70 ? 1 : 61) {
		VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
		struct vn_layer_index x = VN_LAYER_INDEX;
		CHECK_OK(index_bytes(p.bytes.data, p.bytes.len, chunk, &x, &err), &err);
		read_file(&x, chunk ? &bytes : &first);
		if (chunk)
			CHECK(bytes.len == first.len && !memcmp(bytes.data, first.data, first.len));
		vn_layer_index_release(&x);
	}
	vn_buf_release(&p.bytes);
}

static void test_facts(void)
{
	struct pen p;
	struct vn_layer_index x = VN_LAYER_INDEX;
	struct vn_err err = { 0 };
	struct vn_cursor *c = NULL;
	struct vn_entry e;
	struct vn_model_note note;
	struct vn_package package;
	VN_AUTO(vn_buf) facts = VN_BUF(1 << 20);
	int models = 0, packages = 0;
	rich_tar(&p);
	CHECK_OK(index_bytes(p.bytes.data, p.bytes.len, 0, &x, &err), &err);
	CHECK_OK(vn_cursor_open(&x, &c, &err), &err);
	while (vn_cursor_next(c, &e, &err) > 0) {
		size_t at = 0;
		CHECK_OK(vn_layer_index_facts(&x, &e, &facts, &err), &err);
		if (vn_facts_model(&facts, &note)) {
			models++;
			CHECK_STR(e.path, "m.pkl");
			CHECK_HAS(note.digest, "sha256:");
		}
		while (vn_facts_package(&facts, &at, &package)) {
			packages++;
			CHECK_STR(package.name, "a");
			CHECK_STR(package.version, "1.0");
		}
	}
	CHECK_EQ(models, 1);
	CHECK_EQ(packages, 1);
	vn_cursor_close(c);
	vn_layer_index_release(&x);
	vn_buf_release(&p.bytes);
}

/* A device wants contents alone: the same entries, and nothing beside them. */
static void test_no_facts(void)
{
	struct vn_index_options bare = { .key = { 1, 2, 3, 4, 5 } };
	struct pen p;
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	struct vn_layer_index x = VN_LAYER_INDEX, full = VN_LAYER_INDEX;
	struct vn_err err = { 0 };
	struct vn_in *in = NULL;
	struct vn_cursor *c = NULL;
	struct vn_entry e;
	rich_tar(&p);
	CHECK_OK(index_bytes(p.bytes.data, p.bytes.len, 0, &full, &err), &err);
	CHECK_OK(vn_tmp_anonymous(&tmp, &err), &err);
	CHECK_OK(vn_in_memory(p.bytes.data, p.bytes.len, &in, &err), &err);
	CHECK_OK(vn_layer_index_build(in, "layer", &bare, tmp.fd, &err), &err);
	CHECK_OK(vn_layer_index_adopt(tmp.fd, "layer", &x, &err), &err);
	tmp.fd = -1;
	CHECK_EQ(x.records, full.records);
	CHECK_OK(vn_cursor_open(&x, &c, &err), &err);
	while (vn_cursor_next(c, &e, &err) > 0)
		CHECK(!(e.flags & VN_ENTRY_FACTS));
	vn_cursor_close(c);
	vn_layer_index_release(&x);
	vn_layer_index_release(&full);
	vn_buf_release(&p.bytes);
}

/* ---- records longer than the cursor's window */
static void test_long_records(void)
{
	struct pen p;
	struct vn_layer_index x = VN_LAYER_INDEX;
	struct vn_err err = { 0 };
	struct vn_cursor *c = NULL;
	struct vn_entry e;
	char path[4000];
	VN_AUTO_FREE char *value = malloc(200000);
	size_t big = 0, n = 0;
	pen_open(&p);
	memset(value, 'v', 200000);
	for (int i = 0; i < 60; i++) {
		struct vn_xattr xattr = { .name = "user.big", .value = value, .len = i % 7 ? 10 : 200000 };
		struct vn_tar_entry t = { .path = path, .type = VN_FILE, .mode = 0644, .xattrs = &xattr, .nxattrs = 1 };
		memset(path, 'a' + i % 26, sizeof(path));
		for (size_t k = 200; k < sizeof(path); k += 200)
			path[k] = '/';
		path[i % 3 ? 3999 : 20] = 0;
		path[19] = (char)('0' + i / 26);
		pen_entry(&p, &t, NULL);
	}
	pen_close(&p);
	CHECK_OK(index_bytes(p.bytes.data, p.bytes.len, 0, &x, &err), &err);
	CHECK_OK(vn_cursor_open(&x, &c, &err), &err);
	memset(&err, 0, sizeof(err));
	for (; vn_cursor_next(c, &e, &err) > 0; n++) {
		big += e.xattrs_len > 200000;
		CHECK(e.xattrs_len && e.xattrs[e.xattrs_len - 1] == 'v');
	}
	CHECK_EQ(err.code, VN_OK);
	CHECK_EQ(n, 60);
	CHECK_EQ(big, 9);
	vn_cursor_close(c);
	vn_layer_index_release(&x);
	vn_buf_release(&p.bytes);
}

static void test_many(void)
{
	struct pen p;
	struct vn_layer_index x = VN_LAYER_INDEX;
	struct vn_err err = { 0 };
	struct vn_cursor *c = NULL;
	struct vn_entry e;
	char path[64] = "", last[64] = "";
	int n = 0;
	pen_open(&p);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(path, sizeof(path), "d%u/f%u", i * 7919 % 997, i);
		pen_file(&p, path, path, 8);
	}
	pen_close(&p);
	CHECK_OK(index_bytes(p.bytes.data, p.bytes.len, 0, &x, &err), &err);
	CHECK_EQ(x.records, 100000);
	CHECK_OK(vn_cursor_open(&x, &c, &err), &err);
	int ordered = 1;
	for (; vn_cursor_next(c, &e, &err) > 0; n++) {
		ordered = ordered && (!*last || strcmp(last, e.path));
		snprintf(last, sizeof(last), "%s", e.path);
	}
	CHECK(ordered);
	CHECK_EQ(n, 100000);
	vn_cursor_close(c);
	vn_layer_index_release(&x);
	vn_buf_release(&p.bytes);
}

/* ---- damage */
static int adopt_bytes(const struct vn_buf *bytes, size_t len, struct vn_layer_index *ret)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	CHECK_OK(vn_tmp_anonymous(&tmp, &err), &err);
	CHECK_OK(vn_fs_write(tmp.fd, bytes->data, len, "index", &err), &err);
	int r = vn_layer_index_adopt(tmp.fd, "layer", ret, &err);
	if (r == 0)
		tmp.fd = -1;
	return r;
}

/* To the end, with everything that points elsewhere. */
static int walk(const struct vn_layer_index *x)
{
	struct vn_err err = { 0 };
	struct vn_cursor *c = NULL;
	struct vn_entry e;
	VN_AUTO(vn_buf) facts = VN_BUF(1 << 20);
	int r = vn_cursor_open(x, &c, &err);
	while (r == 0 && (r = vn_cursor_next(c, &e, &err)) > 0) {
		(void)vn_layer_index_facts(x, &e, &facts, &err);
		r = 0;
		CHECK(strlen(e.path) <= VN_MAX_PATH);
	}
	vn_cursor_close(c);
	return r;
}

static void test_damage(void)
{
	struct pen p;
	struct vn_err err = { 0 };
	struct vn_layer_index x = VN_LAYER_INDEX, y;
	VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
	rich_tar(&p);
	CHECK_OK(index_bytes(p.bytes.data, p.bytes.len, 0, &x, &err), &err);
	read_file(&x, &bytes);
	for (size_t len = 0; len < bytes.len; len += len < 300 ? 1 : 37) {
		y = (struct vn_layer_index)VN_LAYER_INDEX;
		if (adopt_bytes(&bytes, len, &y) == 0)
			(void)walk(&y);
		vn_layer_index_release(&y);
	}
	for (size_t i = 0; i < bytes.len; i++)
		for (int bit = 0; bit < 8; bit += 7) {
			bytes.data[i] ^= (char)(1 << bit);
			y = (struct vn_layer_index)VN_LAYER_INDEX;
			int r = adopt_bytes(&bytes, bytes.len, &y);
			CHECK(i >= 8 || r == -VN_EFORMAT);
			if (r == 0)
				(void)walk(&y);
			vn_layer_index_release(&y);
			bytes.data[i] ^= (char)(1 << bit);
		}
	vn_layer_index_release(&x);
	vn_buf_release(&p.bytes);
}

static void test_seal(void)
{
	struct vn_layer_index x;
	struct vn_err err = { 0 };
	uint8_t seal[VN_PRINT_SIZE], said[VN_PRINT_SIZE], other[VN_PRINT_KEY] = { 9 };
	open_text("f a 1", &x);
	CHECK_EQ(pread(x.fd, said, sizeof(said), VN_INDEX_SEAL), VN_PRINT_SIZE);
	CHECK_OK(vn_index_seal(x.fd, fixture_options.key, seal, &err), &err);
	CHECK(!memcmp(seal, said, sizeof(seal)));
	CHECK_OK(vn_index_seal(x.fd, other, seal, &err), &err);
	CHECK(memcmp(seal, said, sizeof(seal)));
	vn_layer_index_release(&x);
}

/* An empty text in the facts is no fact; what is not there is not read. */
static void test_empty_facts(void)
{
	struct vn_layer_index x;
	struct vn_err err = { 0 };
	struct vn_entry e = { .path = "a", .kind = '-', .flags = VN_ENTRY_FACTS };
	struct vn_package package;
	struct vn_model_note note;
	size_t at = 0;
	VN_AUTO(vn_buf) facts = VN_BUF(1 << 10);
	open_text("f a 1", &x);
	CHECK_OK(vn_layer_index_facts(&x, &e, &facts, &err), &err);
	CHECK(!vn_facts_model(&facts, &note));
	CHECK(!vn_facts_package(&facts, &at, &package));
	e.facts_at = 1 << 20;
	e.facts_len = 10;
	CHECK_EQ(vn_layer_index_facts(&x, &e, &facts, &err), -VN_EFORMAT);
	e.facts_at = UINT64_MAX - 5;
	CHECK(vn_layer_index_facts(&x, &e, &facts, &err) < 0);
	vn_layer_index_release(&x);
}

/* A tar that breaks off, or a stream that fails, leaves no index. */
static void test_failing_streams(void)
{
	struct pen p;
	struct vn_err err = { 0 };
	rich_tar(&p);
	for (uint64_t at = 0; at < p.bytes.len - 1024; at += at < 2048 ? 97 : 1531)
		for (int truncate = 0; truncate < 2; truncate++) {
			VN_AUTO(vn_tmp) tmp = VN_TMP;
			struct vn_in *in = NULL;
			memset(&err, 0, sizeof(err));
			CHECK_OK(vn_tmp_anonymous(&tmp, &err), &err);
			CHECK_OK(vn_in_memory(p.bytes.data, p.bytes.len, &in, &err), &err);
			CHECK_OK(vn_in_fault(in, at, truncate, 0, &in, &err), &err);
			int r = vn_layer_index_build(in, "layer", &fixture_options, tmp.fd, &err);
			if (!truncate)
				CHECK_EQ(r, -VN_EIO);
			else if (at % 512)
				CHECK(r < 0);
		}
	vn_buf_release(&p.bytes);
}

int main(void)
{
	RUN(test_kinds);
	RUN(test_order_and_repeats);
	RUN(test_hard_links);
	RUN(test_unsafe);
	RUN(test_bytecode);
	RUN(test_chunks);
	RUN(test_facts);
	RUN(test_no_facts);
	RUN(test_long_records);
	RUN(test_many);
	RUN(test_damage);
	RUN(test_seal);
	RUN(test_empty_facts);
	RUN(test_failing_streams);
	return vn_test_end();
}
