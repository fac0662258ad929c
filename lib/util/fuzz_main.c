/* Replay driver: every file named on the command line goes through the fuzz target once. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return 1;
	}
	size_t len = 0, cap = 1 << 16;
	uint8_t *data = malloc(cap);
	for (size_t n; data && (n = fread(data + len, 1, cap - len, f)) > 0;) {
		len += n;
		if (len == cap) {
			uint8_t *larger = realloc(data, cap *= 2);
			if (!larger)
				free(data);
			data = larger;
		}
	}
	fclose(f);
	if (!data)
		return 1;
	/* an exact-size copy, so that a read past the end is seen */
	uint8_t *exact = malloc(len ? len : 1);
	if (exact) {
		for (size_t i = 0; i < len; i++)
			exact[i] = data[i];
		LLVMFuzzerTestOneInput(exact, len);
	}
	free(exact);
	free(data);
	return exact ? 0 : 1;
}

int main(int argc, char **argv)
{
	int bad = 0;
	for (int i = 1; i < argc; i++)
		bad |= replay(argv[i]);
	printf("ok - %d inputs replayed\n", argc - 1);
	return bad;
}
