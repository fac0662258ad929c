#include "layer/fixture.h"

/* "d a, - a/b=a/c, l x>y" : kind and path; "=first" for hard links, ">target" for links, and in braces: I implied, H hides, L over a
 * symbolic link, the number of the layer when asked for. */
static const char *show(const char *text, bool partial)
{
	static char out[4096];
	struct vn_err err = { 0 };
	struct stack s;
	VN_AUTO_MERGE *m = NULL;
	struct vn_merged e;
	int more = 0;
	size_t at = 0;
	stack_open(&s, text);
	CHECK_OK(vn_merge_open(s.list, s.n, partial, &m, &err), &err);
	out[0] = 0;
	while (m && (more = vn_merge_next(m, &e, &err)) > 0) {
		/* a root that no layer describes says nothing, unless it is opaque */
		if (!*e.e.path && e.e.flags & VN_ENTRY_IMPLIED && !(e.e.flags & VN_ENTRY_HIDES))
			continue;
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%c %s", at ? ", " : "", e.e.kind, *e.e.path ? e.e.path : "/");
		if (strcmp(e.first, e.e.path))
			at += (size_t)snprintf(out + at, sizeof(out) - at, "=%s", e.first);
		if (e.e.kind == 'l' || e.e.kind == VN_KIND_LOWER)
			at += (size_t)snprintf(out + at, sizeof(out) - at, ">%s", e.e.link);
		if (e.e.kind == '-')
			at += (size_t)snprintf(out + at, sizeof(out) - at, "@%zu", e.layer);
		if (partial && e.e.kind == 'd' && e.e.flags & VN_ENTRY_HIDES)
			at += (size_t)snprintf(out + at, sizeof(out) - at, "!");
		if (e.e.flags & VN_ENTRY_IMPLIED)
			at += (size_t)snprintf(out + at, sizeof(out) - at, "?%s", e.over_link ? "L" : "");
	}
	if (more < 0)
		snprintf(out, sizeof(out), "error %d", (int)err.code);
	vn_merge_close(vn_steal(m));
	stack_close(&s);
	return out;
}

static void test_replace(void)
{
	CHECK_STR(show("", false), "");
	CHECK_STR(show("d a; f a/x 1; f b 1", false), "d a, - a/x@0, - b@0");
	CHECK_STR(show("f b 1|f b 2|f b 3", false), "- b@2");
	CHECK_STR(show("d a; f a/x 1|d a 0700", false), "d a, - a/x@0");
	CHECK_STR(show("d a; f a/x 1; f a.b 1|f a 1", false), "- a@1, - a.b@0");
	CHECK_STR(show("d a; f a/x 1|f a 1|d a; f a/y 1", false), "d a, - a/y@2");
	CHECK_STR(show("f a 1|d a; f a/y 1", false), "d a, - a/y@1");
	CHECK_STR(show("d a; f a/x 1|l a b", false), "l a>b");
	CHECK_STR(show("l a b; d b|d a; f a/y 1", false), "d a, - a/y@1, d b");
	CHECK_STR(show("d /; f x 1|d /; f y 1", false), "d /, - x@0, - y@1");
	CHECK_STR(show("c a 1:3|p a", false), "p a");
}

static void test_whiteouts(void)
{
	CHECK_STR(show("d a; f a/x 1; f a/y 1|w a/x", false), "d a, - a/y@0");
	CHECK_STR(show("d a; f a/x 1; d a/b; f a/b/c 1; f z 1|w a", false), "- z@0");
	CHECK_STR(show("w a; f b 1", false), "- b@0");
	CHECK_STR(show("w nothing|w nothing", false), "");
	/* in one layer a whiteout speaks of those below it, whatever the order */
	CHECK_STR(show("d a; f a/x 1|w a; d a; f a/y 1", false), "d a, - a/y@1");
	CHECK_STR(show("d a; f a/x 1|d a; f a/y 1; w a", false), "d a, - a/y@1");
	CHECK_STR(show("f a 1|w a; f a 2", false), "- a@1");
	CHECK_STR(show("d a; f a/x 1|w a|d a; f a/y 1", false), "d a, - a/y@2");
	CHECK_STR(show("d a; f a/x 1|w a|f a/y 1", false), "d a?, - a/y@2");
	CHECK_STR(show("d a; d a/b; f a/b/x 1|w a/b|d a|d a/b", false), "d a, d a/b");
	CHECK_STR(show("f a 1|w a|w a|f a 2", false), "- a@3");
	CHECK_STR(show("f a 1; f a.b 1; d a-; f a-/x 1|w a", false), "d a-, - a-/x@0, - a.b@0");
}

static void test_opaque(void)
{
	CHECK_STR(show("d a; f a/x 1|d a 0700; o a; f a/y 1", false), "d a, - a/y@1");
	CHECK_STR(show("d a; f a/x 1|o a; f a/y 1", false), "d a, - a/y@1");
	CHECK_STR(show("d a; f a/x 1|d a; f a/z 1|o a", false), "d a");
	CHECK_STR(show("d a; f a/x 1|o a|f a/y 1", false), "d a, - a/y@2");
	CHECK_STR(show("o a; f a/y 1", false), "d a?, - a/y@0");
	CHECK_STR(show("f x 1; d a|o ; f y 1", false), "d /?, - y@1");
	CHECK_STR(show("d a; d a/b; f a/b/x 1; f a/c 1|o a/b", false), "d a, d a/b, - a/c@0");
	/* the mark needs a directory to stand in */
	CHECK_STR(show("f a 1|o a", false), "d a?");
	CHECK_STR(show("l a b|o a; f a/x 1", false), "d a?L, - a/x@1");
	CHECK_STR(show("d a; f a/x 1|w a|o a", false), "d a?");
	/* metadata is the lower layer's, contents are not */
	CHECK_STR(show("d a; f a/x 1|o a|d a", false), "d a");
}

static void test_implied(void)
{
	CHECK_STR(show("f a/b/c 1", false), "d a?, d a/b?, - a/b/c@0");
	CHECK_STR(show("d a|f a/b/c 1", false), "d a, d a/b?, - a/b/c@1");
	CHECK_STR(show("f a/b/c 1; f a/b/d 1; f a/e 1; f ab 1", false), "d a?, d a/b?, - a/b/c@0, - a/b/d@0, - a/e@0, - ab@0");
	CHECK_STR(show("l a b; d b|f a/x 1", false), "d a?L, - a/x@1, d b");
	CHECK_STR(show("f a 1|f a/x 1", false), "d a?, - a/x@1");
	CHECK_STR(show("d a; f a/y 1|f a 1|f a/x 1", false), "d a?, - a/x@2");
	CHECK_STR(show("f a/y 1|f a 1|f a/x 1", false), "d a?, - a/x@2");
	CHECK_STR(show("f a 1|w a/k; f a/x 1", false), "d a?, - a/x@1");
	CHECK_STR(show("l a b|w a/k", false), "d a?L");
	CHECK_STR(show("f a 1|d b|f a/b/c 1", false), "d a?, d a/b?, - a/b/c@2, d b");
	CHECK_STR(show("f a/x 1|w a/x", false), "");
}

static void test_hard_links(void)
{
	CHECK_STR(show("f a 1; h b a; h c a", false), "- a@0, - b=a@0, - c=a@0");
	CHECK_STR(show("f z 1; h b z", false), "- b@0, - z=b@0");
	CHECK_STR(show("f a 1; h b a; h c b", false), "- a@0, - b=a@0, - c=a@0");
	CHECK_STR(show("f a 1; h b a; h c a|w a", false), "- b@0, - c=b@0");
	CHECK_STR(show("f a 1; h b a; h c a|f b 2", false), "- a@0, - b@1, - c=a@0");
	CHECK_STR(show("d d; f d/a 1; h b d/a; h c d/a|o d", false), "- b@0, - c=b@0, d d");
	CHECK_STR(show("f a 1; h b a|f c 1; h d c", false), "- a@0, - b=a@0, - c@1, - d=c@1");
	CHECK_STR(show("l a t; h b a", false), "l a>t, l b=a>t");
	CHECK_STR(show("c a 1:3; h b a", false), "c a, c b=a");
}

static void test_lower_links(void)
{
	CHECK_STR(show("f a 1|h b a", false), "- a@0, - b@1");
	CHECK_STR(show("f a 1|h b a|w a", false), "- b@1");
	CHECK_STR(show("f a 1; h c a|h b c", false), "- a@0, - b@1, - c=a@0");
	CHECK_STR(show("f a 1|h b a|h c b", false), "- a@0, - b@1, - c@2");
	CHECK_STR(show("l a t|h b a", false), "l a>t, l b>t");
	CHECK_STR(show("f x 1|h a x|h b a|h c b|h d c", false), "- a@1, - b@2, - c@3, - d@4, - x@0");
	CHECK_STR(show("f a 1|w a|h b a", false), "error 9");
	CHECK_STR(show("d a|h b a", false), "error 9");
	CHECK_STR(show("f c 1|h b a", false), "error 9");
	CHECK_STR(show("f c 1|h b zz", false), "error 9");
	CHECK_STR(show("h b a", false), "error 9");
}

/* Each layer links twice to the one below: the way down is walked once for each link, not twice for each on every layer. */
static void test_lower_chain(void)
{
	struct vn_err err = { 0 };
	struct vn_layer_index layers[24];
	const struct vn_layer_index *list[24];
	char text[200];
	VN_AUTO_MERGE *m = NULL;
	struct vn_merged e;
	int n = 0;
	for (int i = 0; i < 24; i++) {
		layers[i] = (struct vn_layer_index)VN_LAYER_INDEX;
		list[i] = &layers[i];
		if (i == 0)
			snprintf(text, sizeof(text), "f a00 text; f b00 text");
		else
			snprintf(text, sizeof(text), "h a%02d a%02d; h b%02d b%02d", i, i - 1, i, i - 1);
		CHECK_OK(index_text(text, &layers[i], &err), &err);
	}
	CHECK_OK(vn_merge_open(list, 24, false, &m, &err), &err);
	while (vn_merge_next(m, &e, &err) > 0) {
		n += e.e.kind == '-';
		CHECK(e.e.kind != '-' || e.e.size == 4);
	}
	CHECK_EQ(n, 48);
	vn_merge_close(vn_steal(m));
	for (int i = 0; i < 24; i++)
		vn_layer_index_release(&layers[i]);
}

static void test_partial(void)
{
	CHECK_STR(show("w a; f b 1", true), "w a, - b@0");
	CHECK_STR(show("h b a", true), "h b>a");
	CHECK_STR(show("d a|w a", true), "w a");
	CHECK_STR(show("f a/x 1", true), "d a?, - a/x@0");
	CHECK_STR(show("d a; o a", true), "d a!");
	CHECK_STR(show("o a", true), "d a!?");
	CHECK_STR(show("d a", true), "d a");
	/* what hides the base in a lower layer of the part hides it still */
	CHECK_STR(show("d a; o a|d a 0700", true), "d a!");
	CHECK_STR(show("w a|d a", true), "d a!");
	CHECK_STR(show("f a 1|d a", true), "d a!");
	CHECK_STR(show("o a|d a", true), "d a!");
	CHECK_STR(show("w a|f a/x 1", true), "d a!?, - a/x@1");
	CHECK_STR(show("w a|o a", true), "d a!?");
	CHECK_STR(show("f a 1|o a", true), "d a!?");
}

int main(void)
{
	RUN(test_replace);
	RUN(test_whiteouts);
	RUN(test_opaque);
	RUN(test_implied);
	RUN(test_hard_links);
	RUN(test_lower_links);
	RUN(test_lower_chain);
	RUN(test_partial);
	return vn_test_end();
}
