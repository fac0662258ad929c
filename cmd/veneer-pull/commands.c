/* The program: its table of commands, and what --help says around it. */
#include "cmd.h"
#include "veneer/context.h"
#include <link.h>
#include <string.h>

static const struct vn_cmd *const commands[] = {
	&cmd_once, &cmd_watch, &cmd_status, &cmd_history, &cmd_rollback, &cmd_pin, &cmd_gc, &cmd_wake, &cmd_verify, &cmd_import,
	&cmd_version, &cmd_completion, &cmd_help, NULL,
};

/* libveneer names what it was built with; this program loads a part of that. */
struct loaded {
	const char *name;        /* "libcurl" */
	size_t len;
	bool found;
};

static int look(struct dl_phdr_info *info, size_t size, void *user)
{
	struct loaded *library = user;
	const char *slash = strrchr(info->dlpi_name, '/'), *name = slash ? slash + 1 : info->dlpi_name;

	(void)size;
	library->found |= !strncmp(name, library->name, library->len) && name[library->len] == '.';
	return library->found;
}

static bool is_loaded(const char *name, size_t len)
{
	char file[64];
	struct loaded library = { file, 0, false };
	bool zlib = len == 4 && !memcmp(name, "zlib", 4), lib = len > 3 && !memcmp(name, "lib", 3);

	library.len = (size_t)snprintf(file, sizeof(file), "%s%.*s", lib ? "" : "lib", zlib ? 1 : (int)len, name);
	dl_iterate_phdr(look, &library);
	return library.found;
}

static const char *libraries(void)
{
	static char list[512];
	size_t used = 0;

	for (const char *at = vn_library_versions(NULL); *at; at += strspn(at, ", ")) {
		size_t len = strcspn(at, ","), name = strcspn(at, " ,");

		if (is_loaded(at, name) && used + len + 3 < sizeof(list))
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%.*s", used ? ", " : "", (int)len, at);
		at += len;
	}
	return list;
}

const struct cli_program cmd_program = {
	.name = "veneer-pull",
	.arguments = "COMMAND [OPTION]... [ARGUMENT]",
	.about = "Keeps one image of a device up to date, and never loses the one that runs.",
	.notes = "exit status: 0 done, or up to date; 1 waits, or refused; 2 usage; 3 failed;\n"
		 "4 integrity (do not retry); 5 may pass (retry)\n\n"
		 "veneer-pull(8) and veneer-pull.json(5) say more.\n",
	.page = "veneer-pull(8)",
	.libraries = libraries,
	.commands = commands,
};
