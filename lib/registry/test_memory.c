/* What a device remembers from one run to the next. Each `run` is a client of its own. */
#include "registry/memory.h"
#include "registry/fake.h"
#include "util/fs.h"
#include "util/limits.h"
#include <sys/stat.h>

#define DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define HEAD_OK "200\nContent-Type: " VN_MT_OCI_MANIFEST "\nContent-Length: 500\nDocker-Content-Digest: " DIGEST
#define HEAD "HEAD /v2/a/manifests/1 "
#define ASK_TOKEN "401\nWWW-Authenticate: Bearer realm=\"http://%s/token\",service=\"x\",scope=\"repository:a:pull\""
#define TOKEN "GET /token?service=x&scope=repository%3Aa%3Apull"
#define LATER (1ll << 53)

static char dir[] = "/tmp/veneer-test-XXXXXX", path[64];

static int run_with(struct fake_world *w, struct vn_wire *wire, struct vn_err *err)
{
	VN_AUTO(vn_desc) desc = { 0 };

	w->opt.frugal = true;
	w->opt.memory = path;
	w->opt.wire = wire;
	struct vn_source *s = fake_source(w, "a:1");
	int n = vn_registry_head(s, &desc, err);
	vn_source_close(s);
	if (n == 0)
		CHECK_STR(desc.digest.text, DIGEST);
	return n;
}

static void run(struct fake_world *w)
{
	struct vn_err err = { 0 };
	struct vn_wire wire = { 0 };

	CHECK_OK(run_with(w, &wire, &err), &err);
}

static char *file(void)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MEMORY);
	struct vn_err err = { 0 };
	char *text = NULL;

	vn_fs_read(path, &bytes, &err);
	CHECK_OK(vn_buf_steal(&bytes, &text, &err), &err);
	return text;
}

/* A memory that holds one token for the world's registry. */
static void write_token(const struct fake_world *w, const char *who, const char *token, int64_t noted, int64_t until)
{
	VN_AUTO(vn_buf) text = VN_BUF(4096);
	struct vn_err err = { 0 };
	const char *host = w->fake.host;

	vn_buf_addf(&text, &err,
		    "{\"version\":1,\"salt\":\"00000000000000000000000000000000\","
		    "\"registries\":[{\"origin\":\"http://%s\",\"scheme\":"
		    "\"bearer\",\"realm\":\"http://%s/token\",\"service\":\"x\",\"scope\":\"\"}],"
		    "\"tokens\":[{\"realm\":\"http://%s/token\","
		    "\"service\":\"x\",\"who\":\"%s\",\"scope\":\"repository:a:pull\",\"token\":\"%s\",\"noted\":%lld,\"until\":%lld}]}",
		    host, host, host, who, token, (long long)noted, (long long)until);
	CHECK_OK(vn_fs_replace(path, text.data, text.len, 0600, &err), &err);
}

static int64_t now(void)
{
	return (int64_t)time(NULL);
}

/* ---- how little a poll is */
static void test_first_contact_is_the_request(void)
{
	static const struct fake_step script[] = {
		{ HEAD, "!User-Agent", HEAD_OK, "" },
		{ HEAD, "!Accept-Encoding", HEAD_OK, "" },
		{ 0 },
	};
	struct fake_world w;

	unlink(path);
	fake_world_open(&w, script);
	run(&w);
	run(&w);
	fake_stop(&w.fake);
}

static void test_token_is_remembered(void)
{
	static const struct fake_step script[] = {
		{ HEAD, "!Authorization", ASK_TOKEN, "" },
		{ TOKEN " ", NULL, "200", "{\"token\":\"one\",\"expires_in\":600}" },
		{ HEAD, "Authorization: Bearer one", HEAD_OK, "" },
		{ HEAD, "Authorization: Bearer one", HEAD_OK, "" },
		{ HEAD, "Authorization: Bearer one", HEAD_OK, "" },
		{ 0 },
	};
	struct fake_world w;
	struct vn_wire wire = { 0 };
	struct vn_err err = { 0 };
	struct stat st;

	unlink(path);
	fake_world_open(&w, script);
	run(&w);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
	run(&w);
	CHECK_OK(run_with(&w, &wire, &err), &err);
	CHECK_EQ(wire.requests, 1);
	CHECK_EQ(wire.connections, 1);
	fake_stop(&w.fake);
}

static void test_short_lived_token_is_not_kept(void)
{
	static const struct fake_step script[] = {
		{ HEAD, NULL, ASK_TOKEN, "" },
		{ TOKEN, NULL, "200", "{\"token\":\"one\"}" },
		{ HEAD, "Authorization: Bearer one", HEAD_OK, "" },
		/* but how to get another one is known */
		{ TOKEN, NULL, "200", "{\"token\":\"two\"}" },
		{ HEAD, "Authorization: Bearer two", HEAD_OK, "" },
		{ 0 },
	};
	struct fake_world w;

	unlink(path);
	fake_world_open(&w, script);
	run(&w);
	run(&w);
	fake_stop(&w.fake);
}

static void test_basic_is_remembered(void)
{
	static const struct fake_step script[] = {
		{ HEAD, "!Authorization", "401\nWWW-Authenticate: Basic realm=\"x\"", "" },
		{ HEAD, "Authorization: Basic dTpwYXNzLXdvcmQ=", HEAD_OK, "" },
		{ HEAD, "Authorization: Basic dTpwYXNzLXdvcmQ=", HEAD_OK, "" },
		{ 0 },
	};
	struct fake_world w;

	unlink(path);
	fake_world_open(&w, script);
	w.opt.username = "u";
	w.opt.password = "pass-word";
	run(&w);
	run(&w);
	VN_AUTO_FREE char *text = file();
	CHECK(!strstr(text, "pass-word"));
	CHECK(!strstr(text, "dTpwYXNzLXdvcmQ"));
	fake_stop(&w.fake);
}

/* ---- whose token it is */
static void test_other_credentials_other_token(void)
{
	static const struct fake_step script[] = {
		{ HEAD, NULL, ASK_TOKEN, "" },
		{ TOKEN "&account=u ", "Authorization: Basic", "200", "{\"token\":\"one\",\"expires_in\":600}" },
		{ HEAD, "Authorization: Bearer one", HEAD_OK, "" },
		{ TOKEN "&account=u ", "Authorization: Basic", "200", "{\"token\":\"two\",\"expires_in\":600}" },
		{ HEAD, "Authorization: Bearer two", HEAD_OK, "" },
		{ HEAD, "Authorization: Bearer one", HEAD_OK, "" },
		{ 0 },
	};
	struct fake_world w;

	unlink(path);
	fake_world_open(&w, script);
	w.opt.username = "u";
	w.opt.password = "secret-1";
	run(&w);
	w.opt.password = "secret-2";
	run(&w);
	w.opt.password = "secret-1";
	run(&w);
	VN_AUTO_FREE char *text = file();
	CHECK(!strstr(text, "secret-"));
	fake_stop(&w.fake);
}

/* ---- what is not so any more */
static void test_refused_token_costs_one_exchange(void)
{
	static const struct fake_step script[] = {
		{ HEAD, "Authorization: Bearer old", ASK_TOKEN ",error=\"invalid_token\"", "" },
		{ TOKEN " ", NULL, "200", "{\"token\":\"new\",\"expires_in\":600}" },
		{ HEAD, "Authorization: Bearer new", HEAD_OK, "" },
		{ 0 },
	};
	struct fake_world w;

	fake_world_open(&w, script);
	write_token(&w, "", "old", now() - 10, LATER);
	run(&w);
	VN_AUTO_FREE char *text = file();
	CHECK_HAS(text, "\"new\"");
	CHECK(!strstr(text, "\"old\""));
	fake_stop(&w.fake);
}

static void exchanges_at_once(int64_t noted, int64_t until)
{
	static const struct fake_step script[] = {
		{ TOKEN " ", "!Bearer", "200", "{\"token\":\"new\",\"expires_in\":600}" },
		{ HEAD, "Authorization: Bearer new", HEAD_OK, "" },
		{ 0 },
	};
	struct fake_world w;

	fake_world_open(&w, script);
	write_token(&w, "", "old", noted, until);
	run(&w);
	fake_stop(&w.fake);
}

static void test_clock(void)
{
	/* expired; less than a minute left; noted when the clock was ahead; noted in 1970 and expired since */
	exchanges_at_once(now() - 700, now() - 100);
	exchanges_at_once(now() - 100, now() + 30);
	exchanges_at_once(now() + 1000000, now() + 2000000);
	exchanges_at_once(100, 700);
	exchanges_at_once(-5, -1);
}

static void test_token_server_moved(void)
{
	static const struct fake_step script[] = {
		{ TOKEN " ", NULL, "404", "" },
		{ HEAD, "!Authorization", "401\nWWW-Authenticate: Bearer realm=\"http://%s/moved\",service=\"y\"", "" },
		{ "GET /moved?service=y&scope=repository%3Aa%3Apull ", NULL, "200", "{\"token\":\"new\",\"expires_in\":600}" },
		{ HEAD, "Authorization: Bearer new", HEAD_OK, "" },
		{ HEAD, "Authorization: Bearer new", HEAD_OK, "" },
		{ 0 },
	};
	struct fake_world w;

	fake_world_open(&w, script);
	write_token(&w, "", "old", 100, 700);
	run(&w);
	run(&w);
	fake_stop(&w.fake);
}

static void test_registry_wants_basic_now(void)
{
	static const struct fake_step script[] = {
		{ TOKEN, "Authorization: Basic", "200", "{\"token\":\"one\",\"expires_in\":600}" },
		{ HEAD, "Authorization: Bearer one", "401\nWWW-Authenticate: Basic realm=\"x\"", "" },
		{ HEAD, "!Authorization", "401\nWWW-Authenticate: Basic realm=\"x\"", "" },
		{ HEAD, "Authorization: Basic", HEAD_OK, "" },
		{ 0 },
	};
	struct fake_world w;

	fake_world_open(&w, script);
	write_token(&w, "somebody else", "old", now() - 10, LATER);
	w.opt.username = "u";
	w.opt.password = "p";
	run(&w);
	fake_stop(&w.fake);
}

static void test_registry_wants_nothing_now(void)
{
	static const struct fake_step script[] = { { HEAD, "Authorization: Bearer old", HEAD_OK, "" }, { 0 } };
	struct fake_world w;

	fake_world_open(&w, script);
	write_token(&w, "", "old", now() - 10, LATER);
	run(&w);
	fake_stop(&w.fake);
}

/* ---- the file */
static void is_not_believed(void)
{
	static const struct fake_step script[] = { { HEAD, "!Authorization", HEAD_OK, "" }, { 0 } };
	struct fake_world w;

	fake_world_open(&w, script);
	run(&w);
	CHECK_HAS(w.told, "nothing is remembered: ");
	fake_stop(&w.fake);
}

static void test_file_of_others(void)
{
	static const struct fake_step none[] = { { 0 } };
	struct fake_world w;
	char other[80];

	fake_world_open(&w, none);
	fake_stop(&w.fake);
	write_token(&w, "", "old", now() - 10, LATER);
	CHECK(chmod(path, 0640) == 0);
	is_not_believed();
	snprintf(other, sizeof other, "%s/other", dir);
	CHECK(chmod(path, 0600) == 0 && rename(path, other) == 0 && symlink(other, path) == 0);
	is_not_believed();
	unlink(path);
	unlink(other);
}

static void test_damaged_file(void)
{
	static const char *const texts[] = { "", "{", "{\"version\":1}",
					     "{\"version\":9,\"salt\":\"00000000000000000000000000000000\"}" };
	struct vn_err err = { 0 };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		CHECK_OK(vn_fs_replace(path, texts[i], strlen(texts[i]), 0600, &err), &err);
		is_not_believed();
	}
}

static void test_no_place_to_write(void)
{
	static const struct fake_step script[] = {
		{ HEAD, NULL, ASK_TOKEN, "" },
		{ TOKEN, NULL, "200", "{\"token\":\"one\",\"expires_in\":600}" },
		{ HEAD, NULL, HEAD_OK, "" },
		{ 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) desc = { 0 };

	fake_world_open(&w, script);
	w.opt.frugal = true;
	w.opt.memory = "/proc/no/such/place";
	struct vn_source *s = fake_source(&w, "a:1");
	CHECK_OK(vn_registry_head(s, &desc, &err), &err);
	vn_source_close(s);
	CHECK_HAS(w.told, "W the next request will cost more, since nothing could be remembered");
	fake_stop(&w.fake);
}

static void test_shelves(void)
{
	struct vn_memory *m = NULL;
	struct vn_err err = { 0 };
	VN_AUTO(vn_memory_item) item = { 0 };
	VN_AUTO_FREE char *long_text = malloc(VN_MAX_MEMORY_TEXT + 2);
	char who[8], a[VN_MEMORY_NAME], b[VN_MEMORY_NAME];
	size_t n = 0;

	CHECK_OK(vn_memory_open(NULL, NULL, &m, &err), &err);
	for (int i = 0; i < 3 * VN_MEMORY_EACH; i++) {
		snprintf(who, sizeof who, "%d", i % 12);
		const char *const texts[VN_MEMORY_TEXTS] = { "r", "s", who, "", "token" };
		vn_memory_put(m, VN_MEMORY_TOKEN, texts, LATER);
	}
	CHECK(vn_memory_get(m, VN_MEMORY_TOKEN, 0, 60, &item));
	CHECK_STR(item.text[2], "11");
	for (; n < 100; n++) {
		VN_AUTO(vn_memory_item) other = { 0 };
		if (!vn_memory_get(m, VN_MEMORY_TOKEN, n, 60, &other))
			break;
	}
	CHECK_EQ(n, VN_MEMORY_EACH);
	memset(long_text, 'x', VN_MAX_MEMORY_TEXT + 1);
	long_text[VN_MAX_MEMORY_TEXT + 1] = 0;
	const char *const texts[VN_MEMORY_TEXTS] = { "r", "s", "11", "", long_text };
	vn_memory_put(m, VN_MEMORY_TOKEN, texts, LATER);
	VN_AUTO(vn_memory_item) newest = { 0 };
	CHECK(vn_memory_get(m, VN_MEMORY_TOKEN, 0, 60, &newest));
	CHECK_STR(newest.text[2], "10");
	CHECK_OK(vn_memory_name(m, "secret", 6, a, &err), &err);
	CHECK_OK(vn_memory_name(m, "secreu", 6, b, &err), &err);
	CHECK(strlen(a) == VN_MEMORY_NAME - 1 && strcmp(a, b));
	vn_memory_close(m, NULL);
}

/* Two clients of one program, one inside the other: what the inner one learns is not undone by the outer one. */
static void test_shared(void)
{
	static const char *const text[2][VN_MEMORY_TEXTS] = { { "r", "s", "", "", "one" }, { "r", "s", "", "", "two" } };
	struct vn_memory *outer = NULL, *inner = NULL;
	struct vn_err err = { 0 };
	VN_AUTO(vn_memory_item) item = { 0 };

	unlink(path);
	CHECK_OK(vn_memory_open(path, NULL, &outer, &err), &err);
	vn_memory_put(outer, VN_MEMORY_TOKEN, text[0], LATER);
	CHECK_OK(vn_memory_open(path, NULL, &inner, &err), &err);
	vn_memory_put(inner, VN_MEMORY_TOKEN, text[1], LATER);
	vn_memory_close(inner, NULL);
	CHECK(vn_fs_exists(path));
	vn_memory_close(outer, NULL);
	CHECK_OK(vn_memory_open(path, NULL, &outer, &err), &err);
	CHECK(vn_memory_get(outer, VN_MEMORY_TOKEN, 0, 60, &item));
	CHECK_STR(item.text[4], "two");
	vn_memory_close(outer, NULL);
}

/* ---- a loopback registry without TLS */
static void test_plain_http_is_remembered(void)
{
	static const struct fake_step script[] = { { HEAD, NULL, HEAD_OK, "" }, { HEAD, NULL, HEAD_OK, "" }, { 0 } };
	struct fake_world w;
	size_t before;

	unlink(path);
	fake_world_open(&w, script);
	w.opt.plain_http = false;
	run(&w);
	before = w.fake.connections;
	CHECK_EQ(before, 2);
	run(&w);
	CHECK_EQ(w.fake.connections - before, 1);
	fake_stop(&w.fake);
}

/* What takes requests without TLS is not what was there before. */
static void test_plain_http_no_more(void)
{
	static const struct fake_step script[] = {
		{ HEAD, NULL, HEAD_OK, "" },
		{ HEAD, NULL, "400", "" },
		{ HEAD, NULL, HEAD_OK, "" },
		{ 0 },
	};
	struct fake_world w;

	unlink(path);
	fake_world_open(&w, script);
	w.opt.plain_http = false;
	run(&w);
	run(&w);
	/* asked for TLS again in between */
	CHECK_EQ(w.fake.connections, 5);
	fake_stop(&w.fake);
}

/* ---- counting */
static void test_wire(void)
{
	static const char body[40000];
	static const struct fake_step script[] = {
		{ HEAD, NULL, "200", "" },
		{ "GET /v2/a/manifests/1 ", NULL, "403", body, sizeof body },
		{ 0 },
	};
	struct fake_world w;
	struct vn_wire wire = { 0 };
	struct vn_err err = { 0 };

	unlink(path);
	fake_world_open(&w, script);
	/* the refusal is read to its end, for what it says */
	CHECK_EQ(run_with(&w, &wire, &err), -VN_EAUTH);
	CHECK_EQ(wire.requests, 2);
	CHECK_EQ(wire.retry_after, 0);
	CHECK(wire.connections >= 1);
	CHECK_EQ(wire.resumed, 0);
	CHECK(wire.received > sizeof body && wire.received < sizeof body + 6000);
	CHECK(wire.sent > 300 && wire.sent < 6000);
	fake_stop(&w.fake);
}

static void test_wire_tells_when_to_ask_again(void)
{
	static const struct fake_step script[] = {
		{ HEAD, NULL, "200", "" },
		{ "GET /v2/a/manifests/1 ", NULL, "503\nRetry-After: 7", "" },
		{ 0 },
	};
	struct fake_world w;
	struct vn_wire wire = { 0 };
	struct vn_err err = { 0 };

	unlink(path);
	fake_world_open(&w, script);
	w.opt.retries = 1;
	/* two requests are answered, and the third one is off the script */
	CHECK(run_with(&w, &wire, &err) < 0);
	w.fake.wrong[0] = 0;
	CHECK_EQ(wire.requests, 3);
	CHECK_EQ(wire.retry_after, 7);
	fake_stop(&w.fake);
}

static void test_wire_of_no_connection(void)
{
	static const struct fake_step none[] = { { 0 } };
	struct fake_world w;
	struct vn_wire wire = { 0 };
	struct vn_err err = { 0 };

	fake_world_open(&w, none);
	fake_stop(&w.fake);
	w.opt.retries = 1;
	CHECK_EQ(run_with(&w, &wire, &err), -VN_ENETWORK);
	CHECK_EQ(wire.connections, 0);
	CHECK_EQ(wire.requests, 2);
	/* two refusals, each a segment */
	CHECK(wire.received <= 2 * 40);
}

int main(void)
{
	setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof path, "%s/memory", dir);
	RUN(test_first_contact_is_the_request);
	RUN(test_token_is_remembered);
	RUN(test_short_lived_token_is_not_kept);
	RUN(test_basic_is_remembered);
	RUN(test_other_credentials_other_token);
	RUN(test_refused_token_costs_one_exchange);
	RUN(test_clock);
	RUN(test_token_server_moved);
	RUN(test_registry_wants_basic_now);
	RUN(test_registry_wants_nothing_now);
	RUN(test_file_of_others);
	RUN(test_damaged_file);
	RUN(test_no_place_to_write);
	RUN(test_shelves);
	RUN(test_shared);
	RUN(test_plain_http_is_remembered);
	RUN(test_plain_http_no_more);
	RUN(test_wire);
	RUN(test_wire_tells_when_to_ask_again);
	RUN(test_wire_of_no_connection);
	unlink(path);
	rmdir(dir);
	return vn_test_end();
}
