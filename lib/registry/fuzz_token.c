#include "registry/answer.h"
#include "registry/auth.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VN_AUTO(vn_token) token = { 0 };
	VN_AUTO(vn_buf) text = VN_BUF(1 << 20);
	struct vn_err err = { 0 };
	struct vn_answer answer;

	if (vn_token_parse(data, size, &token, &err) == 0 && (!token.text || !*token.text || token.seconds < 60))
		abort();
	/* servers send errors through the same door */
	if (vn_buf_add(&text, data, size, &err) == 0)
		vn_answer_parse(text.data, text.len, &answer);
	return 0;
}
