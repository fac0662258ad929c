/* A command's name, options, help and function sit together in its file, which ends with its struct vn_cmd; main.c, --help
 * and the completions walk the table of commands. Programs know libveneer by include/veneer only. */
#ifndef CMD_CMD_H
#define CMD_CMD_H
#include "meter.h"
#include "opt.h"
#include "out.h"
#include "veneer/veneer.h"

/* Every command's options begin with these. */
struct cmd_common {
	unsigned format;         /* 1 text, 2 json */
	bool quiet, verbose, help;
	const char *authfile, *cacert;
	bool plain_http, insecure;
	unsigned retries;
	const char *cache_dir;
	uint64_t cache_size, max_layer_size;
};
extern const struct opt cmd_general_options[], cmd_registry_options[], cmd_cache_options[];

struct cmd_example {
	const char *line, *what;
};
struct cmd_call {
	const void *options;     /* the struct that the command's tables fill */
	const char *const *args;
	size_t nargs;
	struct out *out;         /* stdout */
	struct meter *meter;     /* stderr */
	bool json;
	const struct cmd_common *common;
};
struct vn_cmd {
	const char *name;        /* as typed: "rebase", "delta make" */
	const char *summary;     /* half a line */
	const char *about;       /* a paragraph or more, separated by '\n' */
	const struct opt_positional *args;
	const struct opt *const *groups;         /* tables of options, NULL-terminated */
	size_t size;             /* of the struct that they fill */
	const struct cmd_example *examples;      /* ends with a NULL line */
	bool files;              /* its arguments may be files as well as images */
	const struct vn_cmd *const *subs;        /* commands that stand behind this one's name, NULL-terminated; NULL: none */
	/* The exit status 0 or 1, or -code with the error set. */
	int (*run)(const struct cmd_call *call, struct vn_err *err);
};
extern const struct vn_cmd cmd_diff, cmd_rebase, cmd_delta, cmd_inspect, cmd_copy, cmd_sign, cmd_verify, cmd_login, cmd_logout,
	cmd_version, cmd_completion, cmd_help;

/* All commands; ends with NULL. */
extern const struct vn_cmd *const cmd_all[];
/* The last word of its name. */
const char *cmd_word(const struct vn_cmd *cmd);
/* Among those behind `parent`, NULL: among all. NULL with the error set when there is none. */
const struct vn_cmd *cmd_find(const struct vn_cmd *parent, const char *word, struct vn_err *err);

/* The library's handle with the options of the command line. */
int cmd_open(const struct cmd_call *call, const char *username, const char *password, struct vn **ret, struct vn_err *err);
void cmd_close(struct vn **vn);
#define CMD_AUTO_VN OUT_CLEANUP(cmd_close) struct vn *
void cmd_free(void *pointer);
#define CMD_AUTO_FREE OUT_CLEANUP(cmd_free)
/* Escaped, and a line break. */
void cmd_put_line(struct out *out, const char *text);
/* A JSON text and a line break. */
int cmd_put_json(struct out *out, const char *json);
/* What login or logout (`name`) did with a registry's credentials: "DONE REGISTRY WHERE-IT-IS", or schema veneer.NAME/1. */
int cmd_put_credentials(const struct cmd_call *call, const char *name, const char *done, const char *kept, const char *where);

void usage_overview(struct out *out);
void usage_command(struct out *out, const struct vn_cmd *cmd);

/* Names of the classes of differences, in the order of enum vn_class. */
extern const char *const cmd_class_names[];
#endif
