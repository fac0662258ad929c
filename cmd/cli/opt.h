/* One table of options for each command: parsing, --help and the completions all come from it. */
#ifndef CLI_OPT_H
#define CLI_OPT_H
#include "veneer/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum opt_kind {
	OPT_FLAG,        /* bool */
	OPT_NOT,         /* --x[=BOOL]: bool, true when BOOL says false */
	OPT_TEXT,        /* const char * */
	OPT_FILE,        /* const char *, completed as a file name */
	OPT_DIR,         /* const char *, completed as a folder */
	OPT_COUNT,       /* unsigned, 1 to 1,000 */
	OPT_SIZE,        /* uint64_t, as vn_parse_size() reads it */
	OPT_CHOICE,      /* unsigned: 1 + the place in `values` */
	OPT_MAYBE,       /* --x[=VALUE]: as OPT_CHOICE; without a value the first */
	OPT_SET,         /* unsigned: bits 1 << place in `values`; repeatable, or separated by commas */
	OPT_LIST,        /* struct opt_list: repeatable */
};
struct opt {
	const char *name;                /* without dashes; NULL ends a table */
	char letter;                     /* 0 = none */
	enum opt_kind kind;
	size_t offset;                   /* into the struct that is filled */
	const char *arg;                 /* what --help calls the value; NULL for flags */
	const char *help;
	const char *const *values;       /* NULL-terminated; OPT_CHOICE, OPT_MAYBE and OPT_SET */
};
/* May it stand without its value? */
static inline bool opt_optional(const struct opt *opt)
{
	return opt->kind == OPT_NOT || opt->kind == OPT_MAYBE;
}
#define OPT_LIST_MOST 64
struct opt_list {
	const char *at[OPT_LIST_MOST + 1];       /* NULL-terminated */
	size_t n;
};

struct opt_positional {
	const char *name;                /* "OLD"; NULL ends a table */
	const char *help;
	bool optional;
	const char *const *values;       /* what completion offers; NULL: an image reference or free text */
};
#define OPT_MOST_ARGS 8

/* `groups`: tables of options, NULL-terminated. Options and arguments may be mixed; "--" ends the options. `program` and
 * `command` are named in errors. ret_args: OPT_MOST_ARGS places; it and what `into` holds afterwards point into argv. */
int opt_parse(const char *program, const char *command, const struct opt *const *groups, const struct opt_positional *positional,
	      int argc, char *const *argv, void *into, const char **ret_args, size_t *ret_nargs, struct vn_err *err);

/* The nearest of `words`, or NULL when none is near enough for a typing mistake. */
const char *opt_nearest(const char *typed, const char *const *words, size_t n);

/* Sets the error; returns -code. `hint` may be NULL. */
int opt_fail(struct vn_err *err, enum vn_code code, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#endif
