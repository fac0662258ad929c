#include "cli/opt.h"
#include "cli/text.h"
#include "veneer/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define MOST_OPTIONS 64    /* of one command */
#define MOST_WORD 40       /* letters of a word that is worth a suggestion */

int opt_fail(struct vn_err *err, enum vn_code code, const char *hint, const char *fmt, ...)
{
	va_list ap;

	memset(err, 0, sizeof(*err));
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	if (hint)
		snprintf(err->hint, sizeof(err->hint), "%s", hint);
	return -(int)code;
}

/* Edit distance with swapped neighbours counted once (optimal string alignment). */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned rows[3][MOST_WORD + 1];

	for (size_t j = 0; j <= nb; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned *now = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);

			best = above[j] + 1 < best ? above[j] + 1 : best;
			best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return rows[na % 3][nb];
}

const char *opt_nearest(const char *typed, const char *const *words, size_t n)
{
	size_t len = strlen(typed);
	unsigned best = len < 6 ? 1 : (unsigned)(len / 3);
	const char *nearest = NULL;

	if (!len || len > MOST_WORD)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t other = strlen(words[i]);
		unsigned far;

		if (other > MOST_WORD)
			continue;
		far = len >= 3 && !strncmp(typed, words[i], len) ? 1 : distance(typed, len, words[i], other);
		if (far < best || (far == best && !nearest && far < other)) {
			best = far;
			nearest = words[i];
		}
	}
	return nearest;
}

struct parse {
	const char *program, *command;
	const struct opt *const *groups;
	char *into;
	struct vn_err *err;
};

static const char *how_typed(const struct opt *opt, char out[MOST_WORD + 8])
{
	snprintf(out, MOST_WORD + 8, "--%s", opt->name);
	return out;
}

static int bad_value(struct parse *parse, const struct opt *opt, const char *value, const char *expected)
{
	CLEANUP(text_release) struct text safe = { 0 };
	char name[MOST_WORD + 8];

	text_escape(&safe, value);
	return opt_fail(parse->err, VN_EUSAGE, NULL, "%s takes %s, not \"%s\"", how_typed(opt, name), expected,
			text_get(&safe));
}

static int find_value(struct parse *parse, const struct opt *opt, const char *value, size_t len, unsigned *ret_place)
{
	CLEANUP(text_release) struct text all = { 0 }, one = { 0 };

	for (unsigned i = 0; opt->values[i]; i++) {
		if (strlen(opt->values[i]) == len && !memcmp(opt->values[i], value, len)) {
			*ret_place = i;
			return 0;
		}
		text_addf(&all, "%s%s", !i ? "" : opt->values[i + 1] ? ", " : " or ", opt->values[i]);
	}
	text_add_bytes(&one, value, len);
	return bad_value(parse, opt, text_get(&one), text_get(&all));
}

static int parse_set(struct parse *parse, const struct opt *opt, const char *value, unsigned *set)
{
	size_t len;
	unsigned place;

	for (;; value += len + 1) {
		len = strcspn(value, ",");
		if (find_value(parse, opt, value, len, &place) < 0)
			return -VN_EUSAGE;
		*set |= 1u << place;
		if (!value[len])
			return 0;
	}
}

static int parse_bool(struct parse *parse, const struct opt *opt, const char *value, bool *ret)
{
	static const char *const words[] = { "false", "no", "off", "0", "true", "yes", "on", "1" };

	for (size_t i = 0; i < 8; i++)
		if (!strcmp(value, words[i])) {
			*ret = i >= 4;
			return 0;
		}
	return bad_value(parse, opt, value, "true or false");
}

static int parse_count(struct parse *parse, const struct opt *opt, const char *value, unsigned *ret)
{
	char *end;
	unsigned long n = *value >= '0' && *value <= '9' ? strtoul(value, &end, 10) : 0;

	if (!n || n > 1000 || *end)
		return bad_value(parse, opt, value, "a number from 1 to 1000");
	*ret = (unsigned)n;
	return 0;
}

static int add_to_list(struct parse *parse, const struct opt *opt, const char *value, struct opt_list *list)
{
	char name[MOST_WORD + 8];

	if (list->n == OPT_LIST_MOST)
		return opt_fail(parse->err, VN_EUSAGE, NULL, "%s may be given %d times", how_typed(opt, name), OPT_LIST_MOST);
	list->at[list->n++] = value;
	return 0;
}

/* `value`: NULL when there is none. */
static int store(struct parse *parse, const struct opt *opt, const char *value)
{
	void *at = parse->into + opt->offset;
	unsigned place = 0;
	bool yes = true;

	switch (opt->kind) {
	case OPT_FLAG:
		*(bool *)at = true;
		return 0;
	case OPT_NOT:
		if (value && parse_bool(parse, opt, value, &yes) < 0)
			return -VN_EUSAGE;
		*(bool *)at = !yes;
		return 0;
	case OPT_TEXT:
	case OPT_FILE:
	case OPT_DIR:
		if (!*value)
			return bad_value(parse, opt, value, opt->arg);
		*(const char **)at = value;
		return 0;
	case OPT_COUNT:
		return parse_count(parse, opt, value, at);
	case OPT_SIZE:
		return vn_parse_size(value, at) ? 0 : bad_value(parse, opt, value, "a size such as 500M or 2GB");
	case OPT_CHOICE:
	case OPT_MAYBE:
		if (value && find_value(parse, opt, value, strlen(value), &place) < 0)
			return -VN_EUSAGE;
		*(unsigned *)at = place + 1;
		return 0;
	case OPT_SET:
		return parse_set(parse, opt, value, at);
	case OPT_LIST:
		return add_to_list(parse, opt, value, at);
	}
	return 0;
}

static const struct opt *find_long(const struct parse *parse, const char *name, size_t len)
{
	for (const struct opt *const *group = parse->groups; *group; group++)
		for (const struct opt *opt = *group; opt->name; opt++)
			if (strlen(opt->name) == len && !memcmp(opt->name, name, len))
				return opt;
	return NULL;
}

static const struct opt *find_letter(const struct parse *parse, char letter)
{
	for (const struct opt *const *group = parse->groups; *group; group++)
		for (const struct opt *opt = *group; opt->name; opt++)
			if (opt->letter == letter)
				return opt;
	return NULL;
}

static int unknown(struct parse *parse, const char *dashes, const char *typed, size_t len)
{
	CLEANUP(text_release) struct text name = { 0 }, safe = { 0 };
	const char *names[MOST_OPTIONS], *nearest;
	size_t n = 0;

	for (const struct opt *const *group = parse->groups; *group; group++)
		for (const struct opt *opt = *group; opt->name && n < MOST_OPTIONS; opt++)
			names[n++] = opt->name;
	text_add_bytes(&name, typed, len);
	text_escape(&safe, text_get(&name));
	nearest = opt_nearest(text_get(&name), names, n);
	opt_fail(parse->err, VN_EUSAGE, NULL, "%s has no option %s%s", parse->command, dashes, text_get(&safe));
	if (nearest)
		snprintf(parse->err->hint, sizeof(parse->err->hint),
			 "Did you mean --%s?  `%s %s --help` lists the options.", nearest, parse->program, parse->command);
	return -VN_EUSAGE;
}

static bool takes_value(const struct opt *opt)
{
	return opt->kind != OPT_FLAG && !opt_optional(opt);
}

static int no_value(struct parse *parse, const struct opt *opt)
{
	char name[MOST_WORD + 8];

	return opt_fail(parse->err, VN_EUSAGE, NULL, "%s needs a value: %s=%s", how_typed(opt, name), name, opt->arg);
}

/* One word that begins with "--"; *at moves on when the value is the next word. */
static int parse_long(struct parse *parse, int argc, char *const *argv, int *at)
{
	const char *word = argv[*at] + 2, *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	const struct opt *opt = find_long(parse, word, len);
	char name[MOST_WORD + 8];

	if (!opt)
		return unknown(parse, "--", word, len);
	if (equals && opt->kind == OPT_FLAG)
		return opt_fail(parse->err, VN_EUSAGE, NULL, "%s takes no value", how_typed(opt, name));
	if (equals || !takes_value(opt))
		return store(parse, opt, equals ? equals + 1 : NULL);
	if (*at + 1 >= argc)
		return no_value(parse, opt);
	return store(parse, opt, argv[++*at]);
}

/* One word such as "-qv" or "-uNAME". */
static int parse_letters(struct parse *parse, int argc, char *const *argv, int *at)
{
	for (const char *word = argv[*at] + 1; *word; word++) {
		const struct opt *opt = find_letter(parse, *word);
		unsigned code;

		if (!opt)
			return unknown(parse, "-", word, text_decode(word, strlen(word), &code));
		if (!takes_value(opt)) {
			if (store(parse, opt, NULL) < 0)
				return -VN_EUSAGE;
			continue;
		}
		if (word[1])
			return store(parse, opt, word + 1);
		if (*at + 1 >= argc)
			return no_value(parse, opt);
		return store(parse, opt, argv[++*at]);
	}
	return 0;
}

static void list_names(const struct opt_positional *positional, struct text *names)
{
	for (size_t i = 0; positional[i].name; i++)
		text_addf(names, "%s%s%s%s", !i ? "" : positional[i + 1].name ? ", " : " and ",
			  positional[i].optional ? "[" : "", positional[i].name, positional[i].optional ? "]" : "");
	if (!names->len)
		text_add(names, "no argument");
}

static int check_count(struct parse *parse, const struct opt_positional *positional, const char **args, size_t n)
{
	CLEANUP(text_release) struct text names = { 0 }, extra = { 0 };
	size_t least = 0, most = 0;

	for (; positional[most].name; most++)
		least += !positional[most].optional;
	if (n >= least && n <= most)
		return 0;
	list_names(positional, &names);
	if (n < least)
		return opt_fail(parse->err, VN_EUSAGE, NULL, "%s needs %s; %s is missing", parse->command, text_get(&names),
				positional[n].name);
	text_escape(&extra, args[most]);
	return opt_fail(parse->err, VN_EUSAGE, NULL, "%s takes %s; \"%s\" is one argument too many", parse->command,
			text_get(&names), text_get(&extra));
}

/* --help wins over whatever else is wrong with the line. */
static bool asks_for_help(int argc, char *const *argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

int opt_parse(const char *program, const char *command, const struct opt *const *groups, const struct opt_positional *positional,
	      int argc, char *const *argv, void *into, const char **ret_args, size_t *ret_nargs, struct vn_err *err)
{
	struct parse parse = { program, command, groups, into, err };
	const struct opt *help = find_long(&parse, "help", 4);
	const char *args[OPT_MOST_ARGS];
	bool options = true;
	size_t n = 0;
	int rc = 0;

	*ret_nargs = 0;
	if (help && asks_for_help(argc, argv))
		return store(&parse, help, NULL);
	for (int i = 0; i < argc && !rc; i++) {
		if (options && !strcmp(argv[i], "--"))
			options = false;
		else if (options && !strncmp(argv[i], "--", 2))
			rc = parse_long(&parse, argc, argv, &i);
		else if (options && argv[i][0] == '-' && argv[i][1])
			rc = parse_letters(&parse, argc, argv, &i);
		else if (n < OPT_MOST_ARGS)
			args[n++] = argv[i];
	}
	rc = rc ? rc : check_count(&parse, positional, args, n);
	if (rc) {
		if (!err->hint[0])
			snprintf(err->hint, sizeof(err->hint), "`%s %s --help` says how.", program, command);
		return rc;
	}
	memcpy(ret_args, args, n * sizeof(*args));
	*ret_nargs = n;
	return 0;
}
