/* The program: its table of commands, and what --help says around it. */
#include "cmd.h"

static const struct vn_cmd *const commands[] = {
	&cmd_diff, &cmd_rebase, &cmd_delta, &cmd_inspect, &cmd_copy, &cmd_sign, &cmd_verify, &cmd_login, &cmd_logout,
	&cmd_version, &cmd_completion, &cmd_help, NULL,
};

static const char *libraries(void)
{
	return vn_library_versions(NULL);
}

const struct cli_program cmd_program = {
	.name = "veneer",
	.arguments = "COMMAND [OPTION]... ARGUMENT...",
	.about = "Ships a new model to devices without shipping the container image again.",
	.notes = "An image is REGISTRY/REPOSITORY:TAG[@DIGEST], oci:DIR[:TAG], oci-archive:FILE,\n"
		 "docker-archive:FILE[:REF] or docker-daemon:REF.\n\n"
		 "exit status: 0 done, or the same; 1 differs, or refused; 2 usage; 3 failed;\n"
		 "4 integrity (do not retry); 5 may pass (retry)\n\n"
		 "`veneer help COMMAND` and veneer(1) say more.\n",
	.transports = "oci: oci-archive: docker-archive: docker-daemon:",
	.libraries = libraries,
	.commands = commands,
};
