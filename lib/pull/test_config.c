#include "pull/config.h"
#include "util/test.h"

static int parse(const char *text, struct vn_pull_config *c, struct vn_err *err)
{
	*c = (struct vn_pull_config){ .every = 1 };
	*err = (struct vn_err){ 0 };
	return vn_pull_config_parse(text, strlen(text), "veneer-pull.json", c, err);
}

static void test_all(void)
{
	static const char text[] =
		"{\"reference\":\"edge.example.io/app:prod\",\"engine\":\"podman\",\"endpoint\":\"--root /x\",\"state\":\"/s\",\"keep\":5,"
		"\"platform\":\"linux/arm64\",\"poll\":{\"every\":\"2h\",\"splay\":\"10m\"},\"windows\":[\"Mon-Fri 01:00-05:00\"],"
		"\"windows_zone\":\"local\",\"budget\":{\"month\":\"5MB\",\"update\":2000000,\"first_day\":15},\"inhibit\":\"/run/i\","
		"\"memory\":\"16MiB\",\"reserve\":\"64MiB\",\"trust\":{\"keys\":[\"/a.pub\",\"/b.pub\"]},"
		"\"registry\":{\"authfile\":\"/auth\",\"cacert\":\"/ca\",\"plain_http\":true,\"tls_verify\":false},"
		"\"check\":{\"command\":[\"/bin/check\",\"{image}\"],\"timeout\":\"5s\"},\"health\":{\"command\":[\"/bin/health\"]},"
		"\"switch\":\"staged\",\"hooks\":{\"active\":[\"/bin/restart\"],\"any\":[\"/bin/log\",\"x\"]},"
		"\"status_file\":\"/run/status\",\"metrics_file\":\"/run/prom\"}";
	struct vn_pull_config c;
	struct vn_err err;
	CHECK_OK(parse(text, &c, &err), &err);
	CHECK_STR(c.reference, "edge.example.io/app:prod");
	CHECK_STR(c.engine, "podman");
	CHECK_EQ(c.keep, 5);
	CHECK_EQ(c.every, 7200);
	CHECK_EQ(c.splay, 600);
	CHECK_EQ(c.windows.n, 5);
	CHECK(c.local_zone && c.plain_http && c.insecure && c.staged);
	CHECK_EQ(c.month_budget, 5000000);
	CHECK_EQ(c.update_budget, 2000000);
	CHECK_EQ(c.first_day, 15);
	CHECK_EQ(c.memory, 16 << 20);
	CHECK_EQ(c.nkeys, 2);
	CHECK_STR(c.keys[1], "/b.pub");
	CHECK_STR(c.check.argv[1], "{image}");
	CHECK(!c.check.argv[2]);
	CHECK_EQ(c.check.timeout, 5);
	CHECK_EQ(c.nhooks, 2);
	CHECK_STR(c.hooks[1].event, "any");
	vn_pull_config_release(&c);
}

static void test_bad(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "{", "veneer-pull.json" },
		{ "[]", "not an object" },
		{ "{\"refrence\":\"x\"}", "refrence" },
		{ "{\"poll\":{\"evry\":\"1h\"}}", "evry" },
		{ "{\"poll\":{\"every\":\"0\"}}", "poll.every" },
		{ "{\"poll\":{\"every\":3600}}", "a duration" },
		{ "{\"keep\":1}", "from 2 to 20" },
		{ "{\"keep\":\"3\"}", "from 2 to 20" },
		{ "{\"windows\":[\"always\"]}", "/windows/0" },
		{ "{\"windows\":\"01:00-02:00\"}", "list of windows" },
		{ "{\"budget\":{\"month\":\"much\"}}", "a size" },
		{ "{\"budget\":{\"month\":-1}}", "a size" },
		{ "{\"budget\":{\"first_day\":31}}", "from 1 to 28" },
		{ "{\"switch\":\"later\"}", "\"now\" or \"staged\"" },
		{ "{\"check\":{\"command\":[\"check\"]}}", "full path" },
		{ "{\"check\":{\"command\":[]}}", "list of texts" },
		{ "{\"hooks\":{\"activ\":[\"/x\"]}}", "activ" },
		{ "{\"hooks\":[]}", "event and command" },
		{ "{\"registry\":{\"plain_http\":\"yes\"}}", "plain_http" },
		{ "{\"state\":\"\"}", "/state" },
	};
	struct vn_pull_config c;
	struct vn_err err;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(parse(bad[i].text, &c, &err), -VN_EUSAGE);
		CHECK_HAS(err.text, bad[i].says);
		vn_pull_config_release(&c);
	}
	CHECK_EQ(parse("{\"polls\":{}}", &c, &err), -VN_EUSAGE);
	CHECK_HAS(err.hint, "poll");
	vn_pull_config_release(&c);
}

int main(void)
{
	RUN(test_all);
	RUN(test_bad);
	return vn_test_end();
}
