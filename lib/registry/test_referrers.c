#include "registry/fake.h"
#include "registry/referrers.h"
#include "util/limits.h"

#define PING { "GET /v2/ ", "!Authorization", "200", "{}" }
#define HEX(d) d d d d d d d d d d d d d d d d
#define SUBJECT "sha256:" HEX("aaaa")
#define ONE "sha256:" HEX("1111")
#define TWO "sha256:" HEX("2222")
#define TAG "sha256-" HEX("aaaa")
#define DELTA "application/vnd.example.delta.v1"
#define INDEX_TYPE "\nContent-Type: " VN_MT_OCI_INDEX
#define ENTRY(digest, type, from)                                                                                       \
	"{\"mediaType\":\"" VN_MT_OCI_MANIFEST "\",\"digest\":\"" digest "\",\"size\":9,\"artifactType\":\"" type         \
	"\",\"annotations\":{\"from\":\"" from "\"}}"
#define INDEX(entries) "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_INDEX "\",\"manifests\":[" entries "]}"
#define API "GET /v2/a/referrers/" SUBJECT "?artifactType=application%2Fvnd.example.delta.v1 "
#define HEAD_TAG(answer) { "HEAD /v2/a/manifests/" TAG " ", NULL, answer, "" }
#define GET_TAG(index) { "GET /v2/a/manifests/" TAG " ", NULL, "200" INDEX_TYPE, index }
#define THERE "200" INDEX_TYPE "\nDocker-Content-Digest: " ONE "\nContent-Length: 9"
/* the tag names an image */
#define IMAGE_TAG                                                                                                       \
	HEAD_TAG("200\nContent-Type: " VN_MT_OCI_MANIFEST "\nDocker-Content-Digest: " ONE "\nContent-Length: 9"),        \
	{                                                                                                              \
		"GET /v2/a/manifests/" TAG " ", NULL, "200\nContent-Type: " VN_MT_OCI_MANIFEST, "{\"schemaVersion\":2,\"layers\":[]}" \
	}
#define NO_API { API, NULL, "404", "404 page not found\n" }

static int list(const struct fake_step *script, struct fake_world *w, struct vn_referrers *ret, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	struct vn_digest subject;

	fake_world_open(w, script);
	fake_ref(w, "a", &ref);
	CHECK_OK(vn_digest_parse(SUBJECT, &subject, err), err);
	int n = vn_registry_referrers(&ref, &subject, DELTA, &w->opt, &w->events, ret, err);
	fake_stop(&w->fake);
	return n;
}

/* Prints what was found as "DIGEST-INITIAL:FROM …". */
static void found(const struct vn_referrers *r, char out[200])
{
	size_t n = 0;
	out[0] = 0;
	for (size_t i = 0; i < r->n && n < 200; i++)
		n += (size_t)snprintf(out + n, 200 - n, "%s%c:%s", i ? " " : "", r->list[i].digest.text[7],
				      vn_desc_annotation(&r->list[i], "from"));
}

static void check_list(const struct fake_step *script, const char *want, bool api)
{
	VN_AUTO(vn_referrers) r = { 0 };
	struct fake_world w;
	struct vn_err err = { 0 };
	char text[200];

	CHECK_OK(list(script, &w, &r, &err), &err);
	found(&r, text);
	CHECK_STR(text, want);
	CHECK_EQ(r.api, api);
}

static void test_api(void)
{
	static const struct fake_step filtered[] = {
		PING,
		{ API, "Accept: " VN_MT_OCI_INDEX "\r", "200\nOCI-Filters-Applied: artifactType" INDEX_TYPE,
		  INDEX(ENTRY(ONE, DELTA, "x")) },
		{ 0 },
	};
	static const struct fake_step unfiltered[] = {
		PING,
		{ API, NULL, "200" INDEX_TYPE, INDEX(ENTRY(ONE, "application/other", "x") "," ENTRY(TWO, DELTA, "y")) },
		{ 0 },
	};
	static const struct fake_step none[] = { PING, { API, NULL, "200" INDEX_TYPE, INDEX("") }, { 0 } };

	check_list(filtered, "1:x", true);
	check_list(unfiltered, "2:y", true);
	check_list(none, "", true);
}

static void test_a_filter_is_not_believed(void)
{
	static const struct fake_step script[] = {
		PING,
		{ API, NULL, "200\nOCI-Filters-Applied: artifactType" INDEX_TYPE, INDEX(ENTRY(ONE, "application/other", "x")) },
		{ 0 },
	};
	check_list(script, "", true);
}

static void test_pages(void)
{
	static const struct fake_step script[] = {
		PING,
		{ API, NULL, "200\nLink: </v2/a/referrers/" SUBJECT "?page=2>; rel=\"next\"" INDEX_TYPE, INDEX(ENTRY(ONE, DELTA, "x")) },
		{ "GET /v2/a/referrers/" SUBJECT "?page=2 ", NULL, "200" INDEX_TYPE, INDEX(ENTRY(TWO, DELTA, "y")) },
		{ 0 },
	};
	check_list(script, "1:x 2:y", true);
}

static int fails(const struct fake_step *script, struct vn_err *err)
{
	VN_AUTO(vn_referrers) r = { 0 };
	struct fake_world w;
	int n = list(script, &w, &r, err);
	CHECK_EQ(r.n, 0);
	CHECK(!r.list);
	return n;
}

static void test_bad_pages(void)
{
	static const struct fake_step elsewhere[] = {
		PING,
		{ API, NULL, "200\nLink: <http://127.0.0.1:1/x>; rel=\"next\"" INDEX_TYPE, INDEX("") },
		{ 0 },
	};
	static const struct fake_step gone[] = {
		PING,
		{ API, NULL, "200\nLink: </next>; rel=\"next\"" INDEX_TYPE, INDEX("") },
		{ "GET /next ", NULL, "404", "" },
		{ 0 },
	};
	struct fake_step endless[67] = { PING, { API, NULL, "200\nLink: </next>; rel=\"next\"" INDEX_TYPE, INDEX("") } };
	struct vn_err err = { 0 };

	CHECK_EQ(fails(elsewhere, &err), -VN_EUNSAFE);
	CHECK_HAS(err.text, "continues its list of referrers on another host");
	CHECK_EQ(fails(gone, &err), -VN_ENOTFOUND);
	for (size_t i = 2; i < 65; i++)
		endless[i] = (struct fake_step){ "GET /next ", NULL, endless[1].answer, endless[1].body };
	CHECK_EQ(fails(endless, &err), -VN_ELIMIT);
	CHECK_HAS(err.text, "more than 64 pages");
}

static void test_hostile_index(void)
{
	static const struct fake_step broken[] = { PING, { API, NULL, "200" INDEX_TYPE, "{\"schemaVersion\":2,\"manif" }, { 0 } };
	static const struct fake_step both[] = {
		PING,
		{ API, NULL, "200" INDEX_TYPE, "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}" },
		{ 0 },
	};
	static const struct fake_step digest[] = {
		PING,
		{ API, NULL, "200" INDEX_TYPE, INDEX("{\"mediaType\":\"a/b\",\"digest\":\"sha256:../../x\",\"size\":1}") },
		{ 0 },
	};
	struct vn_err err = { 0 };

	CHECK_EQ(fails(broken, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "referrers of sha256:aaaaaaaaaaaa… in 127.0.0.1:");
	CHECK_EQ(fails(both, &err), -VN_EFORMAT);
	CHECK(fails(digest, &err) < 0);
	size_t len = VN_MAX_MANIFEST + 1u;
	char *big = malloc(len + 1);
	memset(big, ' ', len);
	big[len] = 0;
	struct fake_step large[] = { PING, { API, NULL, "200" INDEX_TYPE, big }, { 0 } };
	CHECK_EQ(fails(large, &err), -VN_ELIMIT);
	free(big);
}

static void test_refused(void)
{
	static const struct fake_step denied[] = { PING, { API, NULL, "403", "" }, { 0 } };
	static const struct fake_step down[] = { PING, { API, NULL, "503", "" }, { API, NULL, "503", "" }, { API, NULL, "503", "" },
						 { API, NULL, "503", "" }, { API, NULL, "503", "" }, { 0 } };
	struct vn_err err = { 0 };

	CHECK_EQ(fails(denied, &err), -VN_EAUTH);
	CHECK_EQ(fails(down, &err), -VN_ENETWORK);
}

static void test_fallback_tag(void)
{
	static const struct fake_step script[] = {
		PING, NO_API, HEAD_TAG(THERE), GET_TAG(INDEX(ENTRY(TWO, "application/other", "x") "," ENTRY(ONE, DELTA, "y"))), { 0 },
	};
	static const struct fake_step absent[] = { PING, NO_API, HEAD_TAG("404"), { 0 } };
	/* a web page in place of the API, on this host or another */
	static const struct fake_step page[] = { PING, { API, NULL, "200\nContent-Type: text/html", "<html>" }, HEAD_TAG("404"), { 0 } };
	static const struct fake_step away[] = { PING, { API, NULL, "303\nLocation: http://127.0.0.1:1/login", "" }, HEAD_TAG("404"),
						 { 0 } };
	/* GitLab resolves the tag to the subject */
	static const struct fake_step image[] = {
		PING, NO_API, IMAGE_TAG,
		{ 0 },
	};

	check_list(script, "1:y", false);
	check_list(absent, "", false);
	check_list(page, "", false);
	check_list(away, "", false);
	check_list(image, "", false);
}

static void test_tag_name(void)
{
	struct vn_err err = { 0 };
	struct vn_digest digest;
	char tag[VN_REFERRERS_TAG];

	CHECK_OK(vn_digest_parse("sha512:" HEX("abcd") HEX("0123"), &digest, &err), &err);
	vn_referrers_tag_name(&digest, tag);
	CHECK_STR(tag, "sha512-" HEX("abcd"));
}

/* ---- writing */
#define MANIFEST                                                                                                        \
	"{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_MANIFEST "\",\"artifactType\":\"" DELTA                         \
	"\",\"config\":{},\"layers\":[],\"subject\":{\"mediaType\":\"" VN_MT_OCI_MANIFEST "\",\"digest\":\"" SUBJECT     \
	"\",\"size\":5},\"annotations\":{\"from\":\"x\"}}"
#define PUT_ARTIFACT(answer) { "PUT /v2/a/manifests/delta-1 ", MANIFEST, answer, "" }
#define PUT_TAG(has) { "PUT /v2/a/manifests/" TAG " ", has, "201", "" }

static void describe(const char *manifest, struct vn_desc *ret)
{
	struct vn_err err = { 0 };
	struct vn_digest digest;

	CHECK_OK(vn_digest_of(manifest, strlen(manifest), &digest, &err), &err);
	CHECK_OK(vn_desc_init(ret, VN_MT_OCI_MANIFEST, &digest, (int64_t)strlen(manifest), &err), &err);
}

/* `listed`: as vn_referrers_add(). */
static int refer_with(const struct fake_step *script, struct fake_world *w, const char *manifest, const bool *listed, bool *ret_api,
		      struct vn_err *err)
{
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_client *c = NULL;

	describe(manifest, &desc);
	fake_world_open(w, script);
	CHECK_OK(vn_client_open(w->fake.host, "a", &w->opt, &w->events, &c, err), err);
	int n = vn_referrers_add(c, &desc, manifest, strlen(manifest), "from", listed, ret_api, err);
	vn_client_close(c);
	fake_stop(&w->fake);
	return n;
}

static int refer(const struct fake_step *script, struct fake_world *w, bool *ret_api, struct vn_err *err)
{
	static const bool not_listed;
	return refer_with(script, w, MANIFEST, &not_listed, ret_api, err);
}

/* Put through a sink, and made sure of. */
static int put(const struct fake_step *script, struct fake_world *w, bool *ret_api, struct vn_err *err)
{
	VN_AUTO(vn_desc) desc = { 0 };

	describe(MANIFEST, &desc);
	fake_world_open(w, script);
	struct vn_sink *k = fake_sink(w, "a:delta-1");
	int n = k->ops->put_manifest(k, &desc, MANIFEST, strlen(MANIFEST), true, err);
	if (n == 0)
		n = vn_registry_refer(k, &desc, MANIFEST, strlen(MANIFEST), "from", ret_api, err);
	vn_sink_close(k);
	fake_stop(&w->fake);
	return n;
}

static struct vn_digest digest_of_manifest(void)
{
	struct vn_err err = { 0 };
	struct vn_digest digest = { 0 };
	CHECK_OK(vn_digest_of(MANIFEST, strlen(MANIFEST), &digest, &err), &err);
	return digest;
}

static void test_registry_lists(void)
{
	static const struct fake_step script[] = { PING, PUT_ARTIFACT("201\nOCI-Subject: " SUBJECT), { 0 } };
	struct fake_world w;
	struct vn_err err = { 0 };
	bool api = false;

	CHECK_OK(put(script, &w, &api, &err), &err);
	CHECK(api);
}

/* What the tag names once it names only our manifest. */
static const char *index_of_ours(const char *before)
{
	static char text[1200];
	struct vn_digest d = digest_of_manifest();

	snprintf(text, sizeof text,
		 "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_INDEX "\",\"manifests\":[%s{\"mediaType\":\"" VN_MT_OCI_MANIFEST
		 "\",\"digest\":\"%s\",\"size\":%zu,\"artifactType\":\"" DELTA "\",\"annotations\":{\"from\":\"x\"}}]}",
		 before, d.text, strlen(MANIFEST));
	return text;
}

static void test_fallback_is_written(void)
{
	const char *ours = index_of_ours("");
	const struct fake_step script[] = {
		PING, HEAD_TAG("404"), PUT_TAG(ours), HEAD_TAG(THERE), GET_TAG(ours), { 0 },
	};
	/* nothing to do */
	const struct fake_step again[] = { PING, HEAD_TAG(THERE), GET_TAG(ours), { 0 } };
	struct fake_world w;
	struct vn_err err = { 0 };
	bool api = true;

	CHECK_OK(refer(script, &w, &api, &err), &err);
	CHECK(!api);
	CHECK_OK(refer(again, &w, &api, &err), &err);
}

static void test_fallback_keeps_and_replaces(void)
{
	/* another source and another type stay, the older delta from the same source goes */
	const char *after = index_of_ours(ENTRY(TWO, DELTA, "y") "," ENTRY(ONE, "application/other", "x") ",");
	const struct fake_step script[] = {
		PING,
		HEAD_TAG(THERE),
		GET_TAG(INDEX(ENTRY(ONE, DELTA, "x") "," ENTRY(TWO, DELTA, "y") "," ENTRY(ONE, "application/other", "x"))),
		PUT_TAG(after),
		HEAD_TAG(THERE),
		GET_TAG(after),
		{ 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };
	bool api = true;
	CHECK_OK(refer(script, &w, &api, &err), &err);
}

static void test_race(void)
{
	const char *ours = index_of_ours(""), *lost = INDEX(ENTRY(TWO, DELTA, "y"));
	struct fake_step script[32] = { PING, HEAD_TAG("404"), PUT_TAG(ours) };
	struct fake_world w;
	struct vn_err err = { 0 };
	bool api;
	/* our entry is gone, and theirs must stay; every time */
	for (size_t i = 0; i < 5; i++) {
		script[3 + 3 * i] = (struct fake_step)HEAD_TAG(THERE);
		script[4 + 3 * i] = (struct fake_step)GET_TAG(lost);
		if (i < 4)
			script[5 + 3 * i] = (struct fake_step)PUT_TAG("\"from\":\"y\"}},{\"mediaType\"");
	}
	CHECK_EQ(refer(script, &w, &api, &err), -VN_ENETWORK);
	CHECK_HAS(err.text, "others write it at the same time");
	CHECK_EQ(w.pauses, 5);
	/* the second time it holds */
	script[6] = (struct fake_step)HEAD_TAG(THERE);
	script[7] = (struct fake_step)GET_TAG(ours);
	memset(&script[8], 0, sizeof script[8]);
	CHECK_OK(refer(script, &w, &api, &err), &err);
}

static void test_deleted_entries_are_dropped(void)
{
	const char *after = index_of_ours(ENTRY(TWO, DELTA, "y") ",");
	const struct fake_step script[] = {
		PING,
		HEAD_TAG(THERE),
		GET_TAG(INDEX(ENTRY(ONE, DELTA, "z") "," ENTRY(TWO, DELTA, "y"))),
		{ "PUT /v2/a/manifests/" TAG " ", NULL, "400", "{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\"}]}" },
		{ "HEAD /v2/a/manifests/" ONE " ", NULL, "404", "" },
		{ "HEAD /v2/a/manifests/" TWO " ", NULL, "200\nContent-Type: " VN_MT_OCI_MANIFEST "\nDocker-Content-Digest: " TWO
		  "\nContent-Length: 9", "" },
		PUT_TAG(after),
		HEAD_TAG(THERE),
		GET_TAG(after),
		{ 0 },
	};
	/* nothing is gone: the registry's own reason is told */
	const struct fake_step refused[] = {
		PING, HEAD_TAG("404"), { "PUT /v2/a/manifests/" TAG " ", NULL, "400", "no indexes here" }, { 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };
	bool api;

	CHECK_OK(refer(script, &w, &api, &err), &err);
	CHECK_EQ(refer(refused, &w, &api, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "no indexes here");
}

static void test_tag_that_is_no_index(void)
{
	static const struct fake_step script[] = {
		PING, IMAGE_TAG, { 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };
	bool api = true;

	CHECK_OK(refer(script, &w, &api, &err), &err);
	CHECK(!api);
	CHECK_HAS(w.told, "W the tag " TAG " of 127.0.0.1:");
	CHECK_HAS(w.told, "expected an index of referrers");
}

static void test_not_put_here(void)
{
	static const struct fake_step script[] = { PING, { API, NULL, "200" INDEX_TYPE, INDEX("") }, { 0 } };
	struct fake_world w;
	struct vn_err err = { 0 };
	bool api = false;

	CHECK_OK(refer_with(script, &w, MANIFEST, NULL, &api, &err), &err);
	CHECK(api);
}

static void test_no_subject(void)
{
	static const struct fake_step none[] = { { 0 } };
	struct fake_world w;
	struct vn_err err = { 0 };
	bool api;

	CHECK_EQ(refer_with(none, &w, "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}", NULL, &api, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "has no subject");
}

static void test_sink(void)
{
	const char *ours = index_of_ours("");
	const struct fake_step script[] = {
		PING, PUT_ARTIFACT("201"), HEAD_TAG("404"), PUT_TAG(ours), HEAD_TAG(THERE), GET_TAG(ours), HEAD_TAG(THERE), GET_TAG(ours),
		{ 0 },
	};
	/* it is stored all the same */
	const struct fake_step unlisted[] = {
		PING, PUT_ARTIFACT("201"), HEAD_TAG("404"), { "PUT /v2/a/manifests/" TAG " ", NULL, "400", "no indexes here" },
		HEAD_TAG(THERE), GET_TAG(ours), { 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };
	bool api = true;

	CHECK_OK(put(script, &w, &api, &err), &err);
	CHECK(!api);
	CHECK_OK(put(unlisted, &w, &api, &err), &err);
	CHECK_HAS(w.told, "is stored, but not listed as a referrer: ");
	CHECK_HAS(w.told, "no indexes here");
}

static void test_registry_takes_no_artifacts(void)
{
	static const struct fake_step script[] = { PING, PUT_ARTIFACT("400"), { 0 } };
	struct fake_world w;
	struct vn_err err = { 0 };
	bool api;

	CHECK_EQ(put(script, &w, &api, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "answered 400");
	CHECK_HAS(err.hint, "Some registries take no artifacts");
}

int main(void)
{
	setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
	RUN(test_api);
	RUN(test_a_filter_is_not_believed);
	RUN(test_pages);
	RUN(test_bad_pages);
	RUN(test_hostile_index);
	RUN(test_refused);
	RUN(test_fallback_tag);
	RUN(test_tag_name);
	RUN(test_registry_lists);
	RUN(test_fallback_is_written);
	RUN(test_fallback_keeps_and_replaces);
	RUN(test_race);
	RUN(test_deleted_entries_are_dropped);
	RUN(test_tag_that_is_no_index);
	RUN(test_not_put_here);
	RUN(test_no_subject);
	RUN(test_sink);
	RUN(test_registry_takes_no_artifacts);
	return vn_test_end();
}
