/* What the commands of veneer share. Programs know libveneer by include/veneer only. */
#ifndef CMD_CMD_H
#define CMD_CMD_H
#include "cli/cli.h"
#include "veneer/veneer.h"

/* Every command's options begin with these. */
struct cmd_common {
	struct cli_common cli;
	const char *authfile, *cacert;
	bool plain_http, insecure;
	unsigned retries;
	const char *cache_dir;
	uint64_t cache_size, max_layer_size;
};
extern const struct opt cmd_registry_options[], cmd_cache_options[];

extern const struct vn_cmd cmd_diff, cmd_rebase, cmd_delta, cmd_inspect, cmd_copy, cmd_sign, cmd_verify, cmd_login, cmd_logout,
	cmd_help;
extern const struct cli_program cmd_program;

/* The library's handle with the options of the command line. */
int cmd_open(const struct cmd_call *call, const char *username, const char *password, struct vn **ret, struct vn_err *err);
void cmd_close(struct vn **vn);
#define CMD_AUTO_VN OUT_CLEANUP(cmd_close) struct vn *
/* What login or logout (`name`) did with a registry's credentials: "DONE REGISTRY WHERE-IT-IS", or schema veneer.NAME/1. */
int cmd_put_credentials(const struct cmd_call *call, const char *name, const char *done, const char *kept, const char *where);

/* Names of the classes of differences, in the order of enum vn_class. */
extern const char *const cmd_class_names[];
#endif
