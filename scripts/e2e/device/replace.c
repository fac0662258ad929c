/* usage: replace HOW FILE LETTER: replaces FILE by 4,000 times LETTER, in the way that is right or in ways that are wrong.
 *
 * right           data, sync, rename, sync of the folder
 * no-file-sync    without the first sync: the name may come to stand for nothing
 * no-folder-sync  without the second: what was said to be done may not be
 * syncfs          data, rename, syncfs(): right too */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int must(int r, const char *what)
{
	if (r < 0) {
		perror(what);
		_exit(1);
	}
	return r;
}

int main(int argc, char **argv)
{
	char data[4000], fresh[PATH_MAX], folder[PATH_MAX];
	bool file_sync, folder_sync;
	int fd;

	if (argc != 4)
		return 2;
	file_sync = !strcmp(argv[1], "right") || !strcmp(argv[1], "no-folder-sync");
	folder_sync = !strcmp(argv[1], "right") || !strcmp(argv[1], "no-file-sync");
	memset(data, argv[3][0], sizeof(data));
	snprintf(fresh, sizeof(fresh), "%s.new", argv[2]);
	snprintf(folder, sizeof(folder), "%s", argv[2]);
	fd = must(open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0644), "open");
	for (size_t n = 0; n < sizeof(data);)
		n += (size_t)must((int)write(fd, data + n, sizeof(data) - n), "write");
	if (file_sync)
		must(fsync(fd), "fsync");
	close(fd);
	must(rename(fresh, argv[2]), "rename");
	fd = must(open(dirname(folder), O_RDONLY | O_DIRECTORY), "open");
	if (folder_sync)
		must(fsync(fd), "fsync");
	else if (!strcmp(argv[1], "syncfs"))
		must(syncfs(fd), "syncfs");
	return 0;
}
