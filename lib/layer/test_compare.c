#include "layer/fixture.h"

static char seen[4096];

static int one_pair(void *user, const struct vn_pair *p, struct vn_err *err)
{
	char fields[80];
	size_t at = strlen(seen);
	(void)user;
	(void)err;
	if (p->old_ && p->new_ && !p->fields)
		return 0;
	/* lib/diff names them; numbers do here */
	snprintf(fields, sizeof(fields), "%u", p->fields);
	snprintf(seen + at, sizeof(seen) - at, "%s%s%s%s%s", at ? ", " : "", !p->old_ ? "+" : !p->new_ ? "-" : "", *p->path ? p->path : "/",
		 p->old_ && p->new_ ? ":" : "", p->old_ && p->new_ ? fields : "");
	if (p->only_stamp)
		snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "~");
	return 0;
}

/* What differs between two stacks; "base" when a partial walk cannot tell. */
static const char *differ(const char *old_text, const char *new_text, bool partial)
{
	struct vn_err err = { 0 };
	struct stack a, b;
	VN_AUTO_MERGE *x = NULL, *y = NULL;
	bool need_base = false;
	seen[0] = 0;
	stack_open(&a, old_text);
	stack_open(&b, new_text);
	CHECK_OK(vn_merge_open(a.list, a.n, partial, &x, &err), &err);
	CHECK_OK(vn_merge_open(b.list, b.n, partial, &y, &err), &err);
	CHECK_OK(vn_compare(x, y, partial, one_pair, NULL, &need_base, &err), &err);
	vn_merge_close(vn_steal(x));
	vn_merge_close(vn_steal(y));
	stack_close(&a);
	stack_close(&b);
	return need_base ? "base" : seen;
}

static void test_fields(void)
{
	CHECK_STR(differ("d a; f a/x 1; l s t; p q", "d a; f a/x 1; l s t; p q", false), "");
	CHECK_STR(differ("f a 1; f b 1", "f b 2; f c 1", false), "-a, b:1, +c");
	CHECK_STR(differ("f a 1", "d a", false), "a:2");
	CHECK_STR(differ("f a 1", "l a 1", false), "a:2");
	CHECK_STR(differ("d a 0755", "d a 0700", false), "a:4");
	CHECK_STR(differ("x a k=v", "x a k=w", false), "a:16");
	CHECK_STR(differ("x a k=v", "f a ", false), "a:16");
	CHECK_STR(differ("l a b", "l a c", false), "a:32");
	CHECK_STR(differ("m a 5", "m a 6", false), "a:64");
	CHECK_STR(differ("c a 1:3", "c a 1:5", false), "a:128");
	CHECK_STR(differ("f a 1; h b a", "f a 1; f b 1", false), "b:256");
	CHECK_STR(differ("f a 1; h b a", "f b 1; h a b", false), "");
	CHECK_STR(differ("f a 1; h b a; h c a", "f b 1; h c b", false), "-a, b:256, c:256");
	CHECK_STR(differ("d /; f a 1", "d / 0700; f a 1", false), "/:4");
	CHECK_STR(differ("d a; f a/x 1|w a", "", false), "");
	CHECK_STR(differ("", "f a/b/c 1", false), "+a, +a/b, +a/b/c");
	CHECK_STR(differ("f a 1", "f a 1|h b a", false), "+b");
}

static void test_owner(void)
{
	struct vn_err err = { 0 };
	struct vn_layer_index x[2] = { VN_LAYER_INDEX, VN_LAYER_INDEX };
	VN_AUTO_MERGE *a = NULL, *b = NULL;
	const struct vn_layer_index *list[] = { &x[0], &x[1] };
	for (uint32_t i = 0; i < 2; i++) {
		struct pen p;
		struct vn_tar_entry uid = { .path = "u", .mode = 0644, .uid = 1000 + i }, gid = { .path = "g", .mode = 0644, .gid = i };
		struct vn_tar_entry nsec = { .path = "n", .mode = 0644, .mtime_nsec = i };
		struct vn_tar_entry link = { .path = "l", .type = VN_SYMLINK, .mode = i ? 0777 : 0755, .link = "t" };
		pen_open(&p);
		pen_entry(&p, &uid, NULL);
		pen_entry(&p, &gid, NULL);
		pen_entry(&p, &nsec, NULL);
		pen_entry(&p, &link, NULL);
		pen_close(&p);
		CHECK_OK(index_bytes(p.bytes.data, p.bytes.len, 0, &x[i], &err), &err);
		vn_buf_release(&p.bytes);
	}
	seen[0] = 0;
	CHECK_OK(vn_merge_open(list, 1, false, &a, &err), &err);
	CHECK_OK(vn_merge_open(list + 1, 1, false, &b, &err), &err);
	CHECK_OK(vn_compare(a, b, false, one_pair, NULL, NULL, &err), &err);
	/* nobody sees the mode of a symbolic link */
	CHECK_STR(seen, "g:8, n:64, u:8");
	vn_layer_index_release(&x[0]);
	vn_layer_index_release(&x[1]);
}

static void test_stamp(void)
{
	static const char *const what[] = { "m.pyc:1~", "m.pyc:1" };
	for (int changed = 0; changed < 2; changed++) {
		struct vn_err err = { 0 };
		struct vn_layer_index x[2] = { VN_LAYER_INDEX, VN_LAYER_INDEX };
		VN_AUTO_MERGE *a = NULL, *b = NULL;
		const struct vn_layer_index *list[] = { &x[0], &x[1] };
		for (int i = 0; i < 2; i++) {
			struct pen p;
			char code[20] = "\x55\x0d\r\n\0\0\0\0AAAA\1\0\0\0bod";
			code[9] = (char)('A' + i);
			code[18] = (char)(code[18] + i * changed);
			pen_open(&p);
			pen_file(&p, "m.pyc", code, sizeof(code));
			pen_close(&p);
			CHECK_OK(index_bytes(p.bytes.data, p.bytes.len, 0, &x[i], &err), &err);
			vn_buf_release(&p.bytes);
		}
		seen[0] = 0;
		CHECK_OK(vn_merge_open(list, 1, false, &a, &err), &err);
		CHECK_OK(vn_merge_open(list + 1, 1, false, &b, &err), &err);
		CHECK_OK(vn_compare(a, b, false, one_pair, NULL, NULL, &err), &err);
		CHECK_STR(seen, what[changed]);
		vn_layer_index_release(&x[0]);
		vn_layer_index_release(&x[1]);
	}
}

/* What lies below both decides as soon as one of them lets it through and the other does not. */
static void test_need_base(void)
{
	CHECK_STR(differ("f a 1", "f a 1", true), "");
	CHECK_STR(differ("f a 1", "f a 2", true), "a:1");
	CHECK_STR(differ("f a 1", "f b 1", true), "base");
	CHECK_STR(differ("", "f a 1", true), "base");
	CHECK_STR(differ("d a", "d a; f a/x 1", true), "base");
	CHECK_STR(differ("d a", "f a 1", true), "base");
	CHECK_STR(differ("f a 1", "l a b", true), "a:2");
	CHECK_STR(differ("w a", "w a", true), "");
	CHECK_STR(differ("w a", "f a 1", true), "+a");
	CHECK_STR(differ("f a 1", "w a", true), "-a");
	CHECK_STR(differ("w a", "d a", true), "base");
	CHECK_STR(differ("d a; o a", "d a; o a", true), "");
	CHECK_STR(differ("d a; o a", "d a", true), "base");
	CHECK_STR(differ("d a; o a", "f a 1", true), "a:2");
	CHECK_STR(differ("w a", "d a; o a", true), "+a");
	CHECK_STR(differ("h b a", "h b a", true), "base");
	CHECK_STR(differ("f a/x 1", "f a/x 2", true), "a/x:1");
	CHECK_STR(differ("f a/x 1", "d a; f a/x 1", true), "base");
	/* hidden by a layer in the middle */
	CHECK_STR(differ("d a; o a|d a", "d a", true), "base");
	CHECK_STR(differ("w a|d a", "d a", true), "base");
	CHECK_STR(differ("w a|d a 0700", "d a; o a", true), "a:4");
	CHECK_STR(differ("f a 1|f a/x 1", "f a/x 1", true), "base");
	CHECK_STR(differ("w a|f a/x 1", "o a; f a/x 1", true), "base");
	CHECK_STR(differ("o a", "o a", true), "base");
}

static int stop(void *user, const struct vn_pair *p, struct vn_err *err)
{
	(void)user;
	return vn_fail(err, VN_EUSAGE, "at %s", p->path);
}

static void test_stop(void)
{
	struct vn_err err = { 0 };
	struct stack s;
	VN_AUTO_MERGE *x = NULL, *y = NULL;
	stack_open(&s, "f a 1; f b 1");
	CHECK_OK(vn_merge_open(s.list, 1, false, &x, &err), &err);
	CHECK_OK(vn_merge_open(s.list, 1, false, &y, &err), &err);
	CHECK_EQ(vn_compare(x, y, false, stop, NULL, NULL, &err), -VN_EUSAGE);
	CHECK_STR(err.text, "at a");
	vn_merge_close(vn_steal(x));
	vn_merge_close(vn_steal(y));
	stack_close(&s);
}

int main(void)
{
	RUN(test_fields);
	RUN(test_owner);
	RUN(test_stamp);
	RUN(test_need_base);
	RUN(test_stop);
	return vn_test_end();
}
