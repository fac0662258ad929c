/* Completion scripts, written from the same tables that parse the command line. */
#include "cmd.h"
#include <string.h>

struct options {
	struct cmd_common common;
};

static const char *const transports = "oci: oci-archive: docker-archive: docker-daemon:";

static bool for_commands(const struct opt_positional *arg)
{
	return !strcmp(arg->name, "COMMAND");
}

static bool for_registry(const struct opt_positional *arg)
{
	return !strcmp(arg->name, "REGISTRY");
}

static bool for_subcommands(const struct opt_positional *arg)
{
	return !strcmp(arg->name, "SUBCOMMAND");
}

static void put_words(struct out *out, const struct vn_cmd *const *table)
{
	for (const struct vn_cmd *const *cmd = table; *cmd; cmd++)
		out_printf(out, "%s%s", cmd == table ? "" : " ", cmd_word(*cmd));
}

/* The commands, or those that stand behind another. */
static void put_commands(struct out *out, const struct opt_positional *arg)
{
	if (for_commands(arg))
		put_words(out, cmd_all);
	for (const struct vn_cmd *const *cmd = cmd_all; *cmd && for_subcommands(arg); cmd++)
		if ((*cmd)->subs)
			put_words(out, (*cmd)->subs);
}

static void put_values(struct out *out, const char *const *values)
{
	for (size_t i = 0; values[i]; i++)
		out_printf(out, "%s%s", i ? " " : "", values[i]);
}

/* `text` between single quotes; `before` is put in front of every one of `special`. */
static void put_quoted(struct out *out, const char *text, const char *special, const char *before)
{
	for (; *text; text++) {
		if (*text == '\'')
			out_put(out, "'\\''");
		else
			out_printf(out, "%s%c", strchr(special, *text) ? before : "", *text);
	}
}

/* ---- bash */

static void bash_value(struct out *out, const struct opt *opt)
{
	bool offers = opt->values || opt->kind == OPT_NOT || opt->kind == OPT_FILE || opt->kind == OPT_DIR;

	if (!opt->arg)
		return;
	out_printf(out, "            --%s", opt->name);
	if (opt->letter)
		out_printf(out, " | -%c", opt->letter);
	out_put(out, ") ");
	if (opt->values) {
		out_put(out, opt->kind == OPT_SET ? "_veneer_list '" : "_veneer_words '");
		put_values(out, opt->values);
		out_put(out, "'");
	} else if (opt->kind == OPT_NOT) {
		out_put(out, "_veneer_words 'true false'");
	} else if (opt->kind == OPT_FILE) {
		out_put(out, "_veneer_files -f");
	} else if (opt->kind == OPT_DIR) {
		out_put(out, "_veneer_files -d");
	}
	out_printf(out, "%sreturn ;;\n", offers ? "; " : "");
}

static void bash_command(struct out *out, const struct vn_cmd *cmd)
{
	out_printf(out, "    '%s')\n        case $option in\n", cmd->name);
	for (const struct opt *const *group = cmd->groups; *group; group++)
		for (const struct opt *opt = *group; opt->name; opt++)
			bash_value(out, opt);
	out_put(out, "        esac\n        options='");
	for (const struct opt *const *group = cmd->groups; *group; group++)
		for (const struct opt *opt = *group; opt->name; opt++)
			out_printf(out, "--%s%s ", opt->name, opt->arg && opt->kind != OPT_MAYBE ? "=" : "");
	out_put(out, "'\n        arguments='");
	for (const struct opt_positional *arg = cmd->args; arg->name; arg++) {
		if (for_commands(arg))
			put_commands(out, arg);
		else if (arg->values)
			put_values(out, arg->values);
		else if (!for_registry(arg) && arg == cmd->args)
			out_put(out, transports);
	}
	out_printf(out, "'\n%s        ;;\n", cmd->files ? "        files=1\n" : "");
}

static void bash_commands(struct out *out, const struct vn_cmd *const *table)
{
	for (; *table; table++) {
		if (!(*table)->subs) {
			bash_command(out, *table);
			continue;
		}
		out_printf(out, "    '%s')\n        options='--help' arguments='", (*table)->name);
		put_words(out, (*table)->subs);
		out_put(out, "'\n        ;;\n");
		bash_commands(out, (*table)->subs);
	}
}

/* Commands with others behind them: two words name what is called. */
static void bash_two_words(struct out *out)
{
	for (const struct vn_cmd *const *cmd = cmd_all; *cmd; cmd++)
		if ((*cmd)->subs)
			out_printf(out, "    [ \"$command\" = %s ] && [ \"$COMP_CWORD\" -gt 2 ] && command+=\" ${COMP_WORDS[2]}\"\n",
				   (*cmd)->name);
}

static void bash(struct out *out)
{
	out_put(out, "# bash completion of veneer, written by `veneer completion bash`\n"
		     "_veneer_words() {\n"
		     "    mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n"
		     "}\n"
		     "_veneer_list() {\n"
		     "    local last=${cur##*,} i\n"
		     "    mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$last\")\n"
		     "    for i in \"${!COMPREPLY[@]}\"; do COMPREPLY[i]=${cur%\"$last\"}${COMPREPLY[i]}; done\n"
		     "}\n"
		     "_veneer_files() {\n"
		     "    compopt -o filenames\n"
		     "    mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$cur\")\n"
		     "}\n"
		     "# '=' and ':' are words of their own: an option's value and a transport's path stand behind them.\n"
		     "_veneer() {\n"
		     "    local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} at=$((COMP_CWORD - 1))\n"
		     "    local options='' arguments='' files='' command=${COMP_WORDS[1]}\n"
		     "    COMPREPLY=()\n"
		     "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
		     "        _veneer_words '--help --version ");
	put_words(out, cmd_all);
	out_put(out, "'\n"
		     "        return\n"
		     "    fi\n"
		     "    case $cur in = | :) cur='' at=$((COMP_CWORD)) ;; esac\n"
		     "    case ${COMP_WORDS[at]} in\n"
		     "    =) option=${COMP_WORDS[at - 1]} ;;\n"
		     "    :)\n"
		     "        case ${COMP_WORDS[at - 1]} in oci | oci-archive | docker-archive) _veneer_files -f ;; esac\n"
		     "        return\n"
		     "        ;;\n"
		     "    esac\n");
	bash_two_words(out);
	out_put(out, "    case $command in\n");
	bash_commands(out, cmd_all);
	out_put(out, "    esac\n"
		     "    case $cur in\n"
		     "    -*) _veneer_words \"$options\" ;;\n"
		     "    *) _veneer_words \"$arguments\" ;;\n"
		     "    esac\n"
		     "    case $files$cur in\n"
		     "    1-*) ;;\n"
		     "    1*)\n"
		     "        local words=(\"${COMPREPLY[@]}\")\n"
		     "        _veneer_files -f\n"
		     "        COMPREPLY=(\"${words[@]}\" \"${COMPREPLY[@]}\")\n"
		     "        ;;\n"
		     "    esac\n"
		     "    case ${COMPREPLY[0]-} in *= | *:) compopt -o nospace ;; esac\n"
		     "}\n"
		     "complete -F _veneer veneer\n");
}

/* ---- zsh */

static void zsh_option(struct out *out, const struct opt *opt)
{
	bool again = opt->kind == OPT_SET || opt->kind == OPT_LIST;

	out_put(out, " \\\n            ");
	if (opt->letter)
		out_printf(out, "'(-%c --%s)'{-%c%s,--%s%s}'", opt->letter, opt->name, opt->letter, opt->arg ? "+" : "",
			   opt->name, opt->arg ? "=" : "");
	else
		out_printf(out, "'%s--%s%s", again ? "*" : "", opt->name, opt_optional(opt) ? "=-" : opt->arg ? "=" : "");
	out_put(out, "[");
	put_quoted(out, opt->help, "[]:\\", "\\");
	out_put(out, "]");
	if (opt->arg) {
		out_put(out, opt_optional(opt) ? "::" : ":");
		put_quoted(out, opt->arg, "[]:\\", "\\");
		out_put(out, ":");
	}
	if (opt->values) {
		out_put(out, opt->kind == OPT_SET ? "_sequence compadd - " : "(");
		put_values(out, opt->values);
		out_put(out, opt->kind == OPT_SET ? "" : ")");
	} else if (opt->kind == OPT_NOT) {
		out_put(out, "(true false)");
	} else if (opt->kind == OPT_FILE || opt->kind == OPT_DIR) {
		out_put(out, opt->kind == OPT_DIR ? "_files -/" : "_files");
	}
	out_put(out, "'");
}

static void zsh_command(struct out *out, const struct vn_cmd *cmd)
{
	size_t n = 1;

	out_printf(out, "    %s)\n        _arguments -s -S", cmd_word(cmd));
	for (const struct opt *const *group = cmd->groups; *group; group++)
		for (const struct opt *opt = *group; opt->name; opt++)
			zsh_option(out, opt);
	for (const struct opt_positional *arg = cmd->args; arg->name; arg++, n++) {
		out_printf(out, " \\\n            '%zu:%s%s:", n, arg->optional ? ":" : "", arg->name);
		if (for_commands(arg) || for_subcommands(arg)) {
			out_put(out, "(");
			put_commands(out, arg);
			out_put(out, ")");
		} else if (arg->values) {
			out_put(out, "(");
			put_values(out, arg->values);
			out_put(out, ")");
		} else {
			out_put(out, for_registry(arg) ? "_hosts" : cmd->files ? "_veneer_file" : "_veneer_image");
		}
		out_put(out, "'");
	}
	out_put(out, "\n        ;;\n");
}

/* What stands at the place of a command, and then each command's own words. */
static void zsh_commands(struct out *out, const struct vn_cmd *const *table)
{
	out_put(out, "    local -a commands\n    commands=(");
	for (const struct vn_cmd *const *cmd = table; *cmd; cmd++) {
		out_printf(out, "\n        '%s:", cmd_word(*cmd));
		put_quoted(out, (*cmd)->summary, ":\\", "\\");
		out_put(out, "'");
	}
	out_put(out, "\n    )\n"
		     "    if (( CURRENT == 2 )); then\n"
		     "        _describe command commands\n"
		     "        return\n"
		     "    fi\n"
		     "    shift words\n"
		     "    (( CURRENT-- ))\n"
		     "    case $words[1] in\n");
	for (; *table; table++) {
		if (!(*table)->subs) {
			zsh_command(out, *table);
			continue;
		}
		out_printf(out, "    %s)\n", cmd_word(*table));
		zsh_commands(out, (*table)->subs);
		out_put(out, "        ;;\n");
	}
	out_put(out, "    esac\n");
}

static void zsh(struct out *out)
{
	out_printf(out, "#compdef veneer\n"
			"# zsh completion of veneer, written by `veneer completion zsh`\n"
			"_veneer_image() {\n"
			"    if compset -P '(oci|oci-archive|docker-archive):'; then\n"
			"        _files\n"
			"    else\n"
			"        compadd -S '' -- %s\n"
			"    fi\n"
			"}\n"
			"_veneer_file() {\n"
			"    local ret=1\n"
			"    _veneer_image && ret=0\n"
			"    _files && ret=0\n"
			"    return ret\n"
			"}\n"
			"_veneer() {\n", transports);
	zsh_commands(out, cmd_all);
	out_put(out, "}\n"
		     "if [ \"$funcstack[1]\" = _veneer ]; then _veneer \"$@\"; else compdef _veneer veneer; fi\n");
}

/* ---- fish */

/* "complete" for what follows a command's name, or its two words. */
static void fish_begin(struct out *out, const struct vn_cmd *cmd)
{
	const char *space = strchr(cmd->name, ' ');

	out_printf(out, "complete -c veneer -n '__fish_seen_subcommand_from %.*s", (int)strcspn(cmd->name, " "), cmd->name);
	if (space)
		out_printf(out, "; and __fish_seen_subcommand_from%s", space);
	out_put(out, "'");
}

static void fish_option(struct out *out, const struct vn_cmd *cmd, const struct opt *opt)
{
	fish_begin(out, cmd);
	out_printf(out, " -l %s", opt->name);
	if (opt->letter)
		out_printf(out, " -s %c", opt->letter);
	if (opt->values && opt->kind == OPT_SET) {
		out_put(out, " -x -a \"(__fish_complete_list , 'string split \\\" \\\" -- \\\"");
		put_values(out, opt->values);
		out_put(out, "\\\"')\"");
	} else if (opt->values || opt->kind == OPT_NOT) {
		out_put(out, " -x -a '");
		if (opt->values)
			put_values(out, opt->values);
		else
			out_put(out, "true false");
		out_put(out, "'");
	} else if (opt->kind == OPT_DIR) {
		out_put(out, " -x -a '(__fish_complete_directories)'");
	} else if (opt->arg) {
		out_put(out, opt->kind == OPT_FILE ? " -r -F" : " -x");
	}
	out_put(out, " -d '");
	put_quoted(out, opt->help, "\\", "\\");
	out_put(out, "'\n");
}

static void fish_argument(struct out *out, const struct vn_cmd *cmd, const struct opt_positional *arg)
{
	fish_begin(out, cmd);
	out_printf(out, "%s -a '", cmd->files ? " -F" : "");
	if (for_commands(arg) || for_subcommands(arg))
		put_commands(out, arg);
	else if (arg->values)
		put_values(out, arg->values);
	else if (for_registry(arg))
		out_put(out, "(__fish_print_hostnames)");
	else
		out_put(out, transports);
	out_put(out, "'\n");
}

static void fish_command(struct out *out, const struct vn_cmd *cmd)
{
	if (cmd->args[0].name)
		fish_argument(out, cmd, cmd->args);
	for (const struct opt *const *group = cmd->groups; *group; group++)
		for (const struct opt *opt = *group; opt->name; opt++)
			fish_option(out, cmd, opt);
}

static void fish_names(struct out *out, const char *condition, const struct vn_cmd *const *table)
{
	for (; *table; table++) {
		out_printf(out, "complete -c veneer -n '%s' -a %s -d '", condition, cmd_word(*table));
		put_quoted(out, (*table)->summary, "\\", "\\");
		out_put(out, "'\n");
	}
}

static void fish_subs(struct out *out, const struct vn_cmd *cmd)
{
	OUT_CLEANUP(text_release) struct text condition = { 0 };

	text_addf(&condition, "__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from", cmd->name);
	for (const struct vn_cmd *const *sub = cmd->subs; *sub; sub++)
		text_addf(&condition, " %s", cmd_word(*sub));
	out->failed |= condition.failed;
	fish_names(out, text_get(&condition), cmd->subs);
	for (const struct vn_cmd *const *sub = cmd->subs; *sub; sub++)
		fish_command(out, *sub);
}

static void fish(struct out *out)
{
	out_put(out, "# fish completion of veneer, written by `veneer completion fish`\n"
		     "complete -c veneer -f\n"
		     "complete -c veneer -n __fish_use_subcommand -l help -s h -d 'show the commands'\n"
		     "complete -c veneer -n __fish_use_subcommand -l version -d 'show the version'\n");
	fish_names(out, "__fish_use_subcommand", cmd_all);
	for (const struct vn_cmd *const *cmd = cmd_all; *cmd; cmd++) {
		if ((*cmd)->subs)
			fish_subs(out, *cmd);
		else
			fish_command(out, *cmd);
	}
}

/* ---- the command */

static const char *const shells[] = { "bash", "zsh", "fish", NULL };

static int run(const struct cmd_call *call, struct vn_err *err)
{
	static void (*const write[])(struct out *) = { bash, zsh, fish };

	for (size_t i = 0; shells[i]; i++)
		if (!strcmp(call->args[0], shells[i])) {
			write[i](call->out);
			return 0;
		}
	return opt_fail(err, VN_EUSAGE, NULL, "completion is made for bash, zsh and fish");
}

static const struct opt_positional args[] = {
	{ "SHELL", "bash, zsh or fish", false, shells },
	{ 0 },
};
static const struct opt *const groups[] = { cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "source <(veneer completion bash)", "for this shell" },
	{ "veneer completion zsh > \"${fpath[1]}/_veneer\"", "for every zsh to come" },
	{ "veneer completion fish > ~/.config/fish/completions/veneer.fish", "for every fish to come" },
	{ 0 },
};

const struct vn_cmd cmd_completion = {
	.name = "completion",
	.summary = "print the completion script for a shell",
	.about = "Print a script that completes commands, options and their values in bash, zsh or fish.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct options),
	.examples = examples,
	.run = run,
};
