/* What programs with commands share. A command's name, options, help and function sit together in its file, which ends with its
 * struct vn_cmd; a program is a table of them, and its --help and completions walk that table. */
#ifndef CLI_CLI_H
#define CLI_CLI_H
#include "cli/meter.h"
#include "cli/opt.h"
#include "cli/out.h"

/* Every command's options begin with these. */
struct cli_common {
	unsigned format;         /* 1 text, 2 json */
	bool quiet, verbose, help;
};
extern const struct opt cmd_general_options[];

struct cmd_example {
	const char *line, *what;
};
struct cmd_call {
	const struct cli_program *program;
	const void *options;     /* the struct that the command's tables fill */
	const char *const *args;
	size_t nargs;
	struct out *out;         /* stdout */
	struct meter *meter;     /* stderr */
	bool json;
	const struct cli_common *common;
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

struct cli_program {
	const char *name;        /* as typed, and in front of errors */
	const char *arguments;   /* of its synopsis: "COMMAND [OPTION]... ARGUMENT..." */
	const char *about;       /* a sentence */
	const char *notes;       /* below the list of commands; its lines are broken as they stand */
	const char *page;        /* manual page of every command; NULL: each has its own, NAME-COMMAND(1) */
	const char *transports;  /* what completion offers for an image, separated by spaces; NULL: nothing */
	const char *(*libraries)(void);          /* what `version` tells beside the version */
	const struct vn_cmd *const *commands;    /* ends with NULL */
};
/* All of main(). */
int cli_main(const struct cli_program *program, int argc, char **argv);

/* Commands that every program has. */
extern const struct vn_cmd cmd_version, cmd_completion;
/* The `run` of a command with the arguments [COMMAND [SUBCOMMAND]]. */
int cmd_show_help(const struct cmd_call *call, struct vn_err *err);

/* The last word of its name. */
const char *cmd_word(const struct vn_cmd *cmd);
/* Among those behind `parent`, NULL: among all. NULL with the error set when there is none. */
const struct vn_cmd *cmd_find(const struct cli_program *program, const struct vn_cmd *parent, const char *word, struct vn_err *err);

void cmd_free(void *pointer);
#define CMD_AUTO_FREE OUT_CLEANUP(cmd_free)
/* Escaped, and a line break. */
void cmd_put_line(struct out *out, const char *text);
/* A JSON text and a line break. */
int cmd_put_json(struct out *out, const char *json);

/* `with` where @PROGRAM@ stands for the program's name, and @ID@ for "_" and that name as an identifier. Texts of the commands
 * that every program has are written so. */
void cli_insert_name(struct text *text, const struct cli_program *program, const char *with);
void usage_overview(struct out *out, const struct cli_program *program);
void usage_command(struct out *out, const struct cli_program *program, const struct vn_cmd *cmd);
#endif
