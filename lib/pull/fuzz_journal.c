/* A journal that can be read is written and read again with the same result. */
#include "pull/journal.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	struct vn_journal *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	VN_AUTO(vn_buf) text = VN_BUF(8u << 20), again = VN_BUF(8u << 20);
	if (!a || !b)
		abort();
	if (vn_journal_parse(data, size, a, &err) == 0 &&
	    (vn_journal_text(a, &text, &err) < 0 || vn_journal_parse(text.data, text.len, b, &err) < 0 ||
	     vn_journal_text(b, &again, &err) < 0 || strcmp(vn_buf_text(&text), vn_buf_text(&again))))
		abort();
	free(a);
	free(b);
	return 0;
}
