#include "diff/config.h"
#include "util/test.h"
#include <stdlib.h>

static void parse(const char *more, const char *inner, struct vn_config *ret)
{
	struct vn_err err = { 0 };
	char text[2048];
	snprintf(text, sizeof(text), "{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":{%s}%s%s}", inner,
		 strstr(more, "\"architecture\"") ? "" : ",\"architecture\":\"amd64\"", more);
	CHECK_OK(vn_config_parse(text, strlen(text), ret, &err), &err);
}

/* "Field[key]: old -> new (rule)", one behind the other; "-" for what is absent. */
static const char *compare(const char *old_more, const char *old_inner, const char *new_more, const char *new_inner)
{
	static char out[4096];
	struct vn_config a = { 0 }, b = { 0 };
	struct vn_arena arena = { NULL };
	struct vn_config_change *list = NULL;
	struct vn_err err = { 0 };
	size_t n = 0, at = 0;
	parse(old_more, old_inner, &a);
	parse(new_more, new_inner, &b);
	CHECK_OK(vn_config_compare(&a, &b, &arena, &list, &n, &err), &err);
	out[0] = 0;
	for (size_t i = 0; i < n; i++) {
		const struct vn_config_change *c = &list[i];
		CHECK_EQ(c->matters, c->rule == NULL);
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s%s%s%s: %s -> %s%s%s", i ? "; " : "", c->field, c->key ? "[" : "",
				       c->key ? c->key : "", c->key ? "]" : "", c->old_value ? c->old_value : "-",
				       c->new_value ? c->new_value : "-", c->rule ? " by " : "", c->rule ? c->rule : "");
	}
	free(list);
	vn_arena_release(&arena);
	vn_config_release(&a);
	vn_config_release(&b);
	return out;
}

static const char *inner(const char *a, const char *b)
{
	return compare("", a, "", b);
}

static void test_whole(void)
{
	CHECK_STR(inner("", ""), "");
	CHECK_STR(inner("\"Cmd\":[\"a\"]", "\"Cmd\":[\"a\"]"), "");
	CHECK_STR(inner("\"Cmd\":[\"a\"]", "\"Cmd\":[\"a\",\"b\"]"), "Cmd: [\"a\"] -> [\"a\",\"b\"]");
	CHECK_STR(inner("\"User\":\"me\"", ""), "User: me -> -");
	CHECK_STR(inner("", "\"WorkingDir\":\"/app\""), "WorkingDir: - -> /app");
	CHECK_STR(inner("\"Healthcheck\":{\"Interval\":5}", "\"Healthcheck\":{\"Interval\":6}"),
		  "Healthcheck: {\"Interval\":5} -> {\"Interval\":6}");
	CHECK_STR(inner("\"New\":1", "\"New\":2,\"Newer\":true"), "New: 1 -> 2; Newer: - -> true");
	CHECK_STR(inner("\"Hostname\":\"a\",\"Image\":\"x\"", "\"Hostname\":\"b\""),
		  "Image: x -> - by docker-builder; Hostname: a -> b by docker-builder");
	CHECK_STR(compare(",\"architecture\":\"arm\",\"variant\":\"v6\"", "", ",\"architecture\":\"arm\",\"variant\":\"v7\"", ""),
		  "variant: v6 -> v7");
	CHECK_STR(compare("", "", ",\"created\":\"2026-11-20T02:14:00Z\"", ""), "created: - -> 2026-11-20T02:14:00Z by build-stamp");
}

/* Nothing there, null, and empty are the same. */
static void test_empty(void)
{
	static const char *const empties[] = { "", "\"Cmd\":null", "\"Cmd\":[]", "\"Entrypoint\":null,\"Volumes\":{}", "\"User\":\"\"",
					       "\"Env\":[],\"Labels\":null", "\"ExposedPorts\":{},\"OnBuild\":[]" };
	size_t n = sizeof(empties) / sizeof(empties[0]);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			CHECK_STR(inner(empties[i], empties[j]), "");
}

static void test_variables(void)
{
	CHECK_STR(inner("\"Env\":[\"A=1\",\"B=2\"]", "\"Env\":[\"B=2\",\"A=1\"]"), "");
	CHECK_STR(inner("\"Env\":[\"A=1\",\"B=2\"]", "\"Env\":[\"A=3\",\"C=\"]"), "Env[A]: 1 -> 3; Env[B]: 2 -> -; Env[C]: - -> ");
	CHECK_STR(inner("\"Env\":[\"A=1\"]", ""), "Env[A]: 1 -> -");
	CHECK_STR(inner("\"Env\":null", "\"Env\":[\"A=1=2\"]"), "Env[A]: - -> 1=2");
	CHECK_STR(inner("\"Env\":[\"AB=1\"]", "\"Env\":[\"A=1\"]"), "Env[AB]: 1 -> -; Env[A]: - -> 1");
	/* twice: the last counts, and is told once */
	CHECK_STR(inner("\"Env\":[\"A=1\",\"A=2\"]", "\"Env\":[\"A=3\"]"), "Env[A]: 2 -> 3");
	CHECK_STR(inner("\"Env\":[\"A=1\",\"A=2\"]", "\"Env\":[\"A=2\"]"), "");
	CHECK_STR(inner("\"Env\":[]", "\"Env\":[\"A=1\",\"A=2\"]"), "Env[A]: - -> 2");
	/* without '=' */
	CHECK_STR(inner("\"Env\":[\"A\",\"B=1\"]", "\"Env\":[\"A\",\"B=2\"]"), "Env[B]: 1 -> 2");
	CHECK_STR(inner("\"Env\":[\"A\"]", "\"Env\":[\"A=\"]"), "");
}

static void test_keys(void)
{
	CHECK_STR(inner("\"ExposedPorts\":{\"80/tcp\":{}}", "\"ExposedPorts\":{\"80/tcp\":{},\"81/tcp\":{}}"),
		  "ExposedPorts[81/tcp]: - -> {}");
	CHECK_STR(inner("\"Volumes\":{\"/a\":{}}", "\"Volumes\":null"), "Volumes[/a]: {} -> -");
	CHECK_STR(inner("\"Labels\":{\"a\":\"1\",\"b\":\"2\"}", "\"Labels\":{\"b\":\"3\",\"c\":\"4\"}"),
		  "Labels[a]: 1 -> -; Labels[b]: 2 -> 3; Labels[c]: - -> 4");
	CHECK_STR(inner("\"Labels\":{\"dev.veneer.from\":\"x\",\"org.opencontainers.image.created\":\"y\"}",
			"\"Labels\":{\"org.opencontainers.image.base.name\":\"z\"}"),
		  "Labels[dev.veneer.from]: x -> - by veneer-lineage; Labels[org.opencontainers.image.created]: y -> - by build-stamp; "
		  "Labels[org.opencontainers.image.base.name]: - -> z by build-stamp");
	/* a shape that nobody expects is shown whole */
	CHECK_STR(inner("\"Volumes\":[\"/a\"]", "\"Volumes\":{\"/a\":{}}"), "Volumes: [\"/a\"] -> {\"/a\":{}}");
}

int main(void)
{
	RUN(test_whole);
	RUN(test_empty);
	RUN(test_variables);
	RUN(test_keys);
	return vn_test_end();
}
