#include "registry/http.h"
#include "registry/fake.h"
#include <sys/stat.h>
#include <sys/un.h>

static int get(const char *url, const char *socket_path, struct vn_buf *ret, unsigned *ret_status,
	       enum vn_http_trouble *trouble, struct vn_err *err)
{
	struct vn_http_options opt = { .stall_ms = 2000 };
	struct vn_http_request req = { .method = "GET", .url = url, .unix_socket = socket_path };
	struct vn_http *http = NULL;
	VN_AUTO(vn_http_response) r = { 0 };

	CHECK_OK(vn_http_open(&opt, &http, err), err);
	int n = vn_http_send(http, &req, &r, trouble, err);
	if (n == 0) {
		*ret_status = r.status;
		n = vn_in_read_all(r.body, ret, err);
	}
	vn_http_response_release(&r);
	vn_http_close(http);
	return n;
}

static void test_headers(void)
{
	static const struct fake_step script[] = { { "GET /x ", "User-Agent: veneer/", "200\nX-A: 1\nx-a:2\nEmpty:", "hi" }, { 0 } };
	struct fake f;
	struct vn_http *http = NULL;
	struct vn_http_response r = { 0 };
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) body = VN_BUF(100);
	char url[64];

	fake_start(&f, script);
	snprintf(url, sizeof url, "http://%s/x", f.host);
	struct vn_http_request req = { .method = "GET", .url = url };
	CHECK_OK(vn_http_open(NULL, &http, &err), &err);
	CHECK_OK(vn_http_send(http, &req, &r, NULL, &err), &err);
	CHECK_STR(vn_http_header(&r, "X-a", 0), "1");
	CHECK_STR(vn_http_header(&r, "X-a", 1), "2");
	CHECK(!vn_http_header(&r, "X-a", 2));
	CHECK_STR(vn_http_header(&r, "empty", 0), "");
	CHECK_OK(vn_in_read_all(r.body, &body, &err), &err);
	CHECK_STR(vn_buf_text(&body), "hi");
	vn_http_response_release(&r);
	vn_http_close(http);
	fake_stop(&f);
}

static void test_one_connection_serves_many(void)
{
	static const struct fake_step script[] = {
		{ "GET /1 ", NULL, "200", "one" }, { "HEAD /2 ", NULL, "200\nContent-Length: 1000", "" }, { "DELETE /3 ", NULL, "204", "" },
		{ "POST /4 ", "Content-Length: 0", "200", "four" }, { 0 },
	};
	static const char *const methods[] = { "GET", "HEAD", "DELETE", "POST" };
	struct fake f;
	struct vn_http *http = NULL;
	struct vn_err err = { 0 };

	fake_start(&f, script);
	CHECK_OK(vn_http_open(NULL, &http, &err), &err);
	for (int i = 0; i < 4; i++) {
		struct vn_http_response r = { 0 };
		VN_AUTO(vn_buf) body = VN_BUF(100);
		char url[64];
		snprintf(url, sizeof url, "http://%s/%d", f.host, i + 1);
		struct vn_http_request req = { .method = methods[i], .url = url };
		CHECK_OK(vn_http_send(http, &req, &r, NULL, &err), &err);
		CHECK_OK(vn_in_read_all(r.body, &body, &err), &err);
		vn_http_response_release(&r);
	}
	vn_http_close(http);
	CHECK_EQ(f.connections, 1);
	fake_stop(&f);
}

static void test_large_body_through_a_small_window(void)
{
	size_t len = 12u << 20;
	char *big = malloc(len);
	memset(big, 'x', len);
	struct fake_step script[] = { { "GET /x ", NULL, "200", big, len }, { 0 } };
	struct fake f;
	struct vn_http *http = NULL;
	struct vn_http_response r = { 0 };
	struct vn_err err = { 0 };
	const void *block;
	size_t got = 0, most = 0;
	char url[64];

	fake_start(&f, script);
	snprintf(url, sizeof url, "http://%s/x", f.host);
	struct vn_http_request req = { .method = "GET", .url = url };
	CHECK_OK(vn_http_open(NULL, &http, &err), &err);
	CHECK_OK(vn_http_send(http, &req, &r, NULL, &err), &err);
	for (ssize_t n; (n = vn_in_next(r.body, &block, &err)) > 0; got += (size_t)n)
		most = (size_t)n > most ? (size_t)n : most;
	CHECK_EQ(got, len);
	CHECK(most <= 2u << 20);
	vn_http_response_release(&r);
	vn_http_close(http);
	fake_stop(&f);
	free(big);
}

static void test_unknown_length_is_chunked(void)
{
	static const struct fake_step script[] = { { "POST /load ", "Transfer-Encoding: chunked", "200", "ok" }, { 0 } };
	struct fake f;
	struct vn_http *http = NULL;
	struct vn_http_response r = { 0 };
	struct vn_err err = { 0 };
	VN_AUTO_IN *body = NULL;
	char url[64];

	fake_start(&f, script);
	snprintf(url, sizeof url, "http://%s/load", f.host);
	CHECK_OK(vn_in_memory("some bytes", 10, &body, &err), &err);
	struct vn_http_request req = { .method = "POST", .url = url, .body = body, .body_len = -1 };
	CHECK_OK(vn_http_open(NULL, &http, &err), &err);
	CHECK_OK(vn_http_send(http, &req, &r, NULL, &err), &err);
	CHECK_EQ(r.status, 200);
	vn_http_response_release(&r);
	vn_http_close(http);
	CHECK_HAS(f.log[0], "a\r\nsome bytes\r\n0\r\n");
	fake_stop(&f);
}

/* The answer comes, and the connection ends, before the body was read. */
static void test_answer_before_the_body(void)
{
	size_t len = 8u << 20;
	char *big = calloc(1, len);
	static const struct fake_step script[] = { { "PUT /x ", NULL, "413", "too large", .unread = true }, { 0 } };
	struct fake f;
	struct vn_http *http = NULL;
	struct vn_http_response r = { 0 };
	struct vn_err err = { 0 };
	VN_AUTO_IN *body = NULL;
	char url[64];

	fake_start(&f, script);
	snprintf(url, sizeof url, "http://%s/x", f.host);
	CHECK_OK(vn_in_memory(big, len, &body, &err), &err);
	struct vn_http_request req = { .method = "PUT", .url = url, .body = body, .body_len = (int64_t)len };
	CHECK_OK(vn_http_open(NULL, &http, &err), &err);
	int n = vn_http_send(http, &req, &r, NULL, &err);
	CHECK(n == 0 ? r.status == 413 : n == -VN_ENETWORK);
	vn_http_stop_sending(&r);
	vn_http_response_release(&r);
	vn_http_close(http);
	fake_stop(&f);
	free(big);
}

static void test_header_injection(void)
{
	static const char *const lines[] = { "X: a\r\nY: b", NULL };
	struct vn_http_request req = { .method = "GET", .url = "http://127.0.0.1:1/", .headers = lines };
	struct vn_http *http = NULL;
	struct vn_http_response r = { 0 };
	struct vn_err err = { 0 };

	CHECK_OK(vn_http_open(NULL, &http, &err), &err);
	CHECK_EQ(vn_http_send(http, &req, &r, NULL, &err), -VN_EFORMAT);
	vn_http_close(http);
}

static void test_troubles(void)
{
	static const struct fake_step cut[] = { { "GET / ", NULL, "200", "0123456789", .cut = 3 }, { 0 } };
	static const struct fake_step hang[] = { { "GET / ", NULL, "200", "x", .hang = true }, { 0 } };
	static const struct fake_step none[] = { { 0 } };
	VN_AUTO(vn_buf) body = VN_BUF(100);
	enum vn_http_trouble trouble;
	struct vn_err err = { 0 };
	struct fake f;
	unsigned status = 0;
	char url[64];

	fake_start(&f, none);
	snprintf(url, sizeof url, "https://%s/", f.host);
	CHECK_EQ(get(url, NULL, &body, &status, &trouble, &err), -VN_EIO);
	CHECK_EQ(trouble, VN_HTTP_NOT_TLS);
	CHECK_HAS(err.hint, "--plain-http");
	fake_stop(&f);
	CHECK_EQ(get(url, NULL, &body, &status, &trouble, &err), -VN_ENETWORK);
	CHECK_EQ(trouble, VN_HTTP_NO_CONNECTION);
	fake_start(&f, cut);
	snprintf(url, sizeof url, "http://%s/", f.host);
	CHECK_EQ(get(url, NULL, &body, &status, &trouble, &err), -VN_ENETWORK);
	CHECK_STR(vn_buf_text(&body), "012");
	fake_stop(&f);
	fake_start(&f, hang);
	snprintf(url, sizeof url, "http://%s/", f.host);
	CHECK_EQ(get(url, NULL, &body, &status, &trouble, &err), -VN_ENETWORK);
	CHECK_EQ(trouble, VN_HTTP_STALLED);
	fake_stop(&f);
}

static void *serve_unix(void *user)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix";
	int fd = accept(*(int *)user, NULL, NULL);
	char *request = fake_request(fd, false);

	free(request);
	fake_send(fd, answer, sizeof answer - 1);
	close(fd);
	return NULL;
}

static void test_unix_socket(void)
{
	char dir[] = "/tmp/veneer-test-http-XXXXXX";
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	VN_AUTO(vn_buf) body = VN_BUF(100);
	struct vn_err err = { 0 };
	enum vn_http_trouble trouble;
	unsigned status = 0;
	pthread_t thread;

	CHECK(mkdtemp(dir));
	snprintf(a.sun_path, sizeof a.sun_path, "%.80s/s", dir);
	CHECK(get("http://docker/info", a.sun_path, &body, &status, &trouble, &err) < 0);
	CHECK_EQ(trouble, VN_HTTP_NO_CONNECTION);
	CHECK_HAS(err.text, a.sun_path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_EQ(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	CHECK_EQ(listen(fd, 1), 0);
	pthread_create(&thread, NULL, serve_unix, &fd);
	CHECK_OK(get("http://docker/info", a.sun_path, &body, &status, &trouble, &err), &err);
	CHECK_EQ(status, 200);
	CHECK_STR(vn_buf_text(&body), "unix");
	pthread_join(thread, NULL);
	close(fd);
	unlink(a.sun_path);
	rmdir(dir);
}

int main(void)
{
	struct vn_err err = { 0 };

	CHECK_OK(vn_http_init(&err), &err);
	RUN(test_headers);
	RUN(test_one_connection_serves_many);
	RUN(test_large_body_through_a_small_window);
	RUN(test_unknown_length_is_chunked);
	RUN(test_answer_before_the_body);
	RUN(test_header_injection);
	RUN(test_troubles);
	RUN(test_unix_socket);
	vn_http_exit();
	return vn_test_end();
}
