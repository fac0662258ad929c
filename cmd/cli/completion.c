/* Completion scripts, written from the same tables that parse the command line. */
#include "cli/cli.h"
#include <string.h>

static void put(const struct cmd_call *call, const char *text)
{
	OUT_CLEANUP(text_release) struct text made = { 0 };

	cli_insert_name(&made, call->program, text);
	call->out->failed |= made.failed;
	out_put(call->out, text_get(&made));
}

static void put_transports(const struct cmd_call *call)
{
	put(call, call->program->transports ? call->program->transports : "");
}

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

static void put_words(const struct cmd_call *call, const struct vn_cmd *const *table)
{
	for (const struct vn_cmd *const *cmd = table; *cmd; cmd++)
		out_printf(call->out, "%s%s", cmd == table ? "" : " ", cmd_word(*cmd));
}

/* The commands, or those that stand behind another. */
static void put_commands(const struct cmd_call *call, const struct opt_positional *arg)
{
	if (for_commands(arg))
		put_words(call, call->program->commands);
	for (const struct vn_cmd *const *cmd = call->program->commands; *cmd && for_subcommands(arg); cmd++)
		if ((*cmd)->subs)
			put_words(call, (*cmd)->subs);
}

static void put_values(const struct cmd_call *call, const char *const *values)
{
	for (size_t i = 0; values[i]; i++)
		out_printf(call->out, "%s%s", i ? " " : "", values[i]);
}

/* `text` between single quotes; `before` is put in front of every one of `special`. */
static void put_quoted(const struct cmd_call *call, const char *text, const char *special, const char *before)
{
	for (; *text; text++) {
		if (*text == '\'')
			put(call, "'\\''");
		else
			out_printf(call->out, "%s%c", strchr(special, *text) ? before : "", *text);
	}
}

/* ---- bash */

static void bash_value(const struct cmd_call *call, const struct opt *opt)
{
	bool offers = opt->values || opt->kind == OPT_NOT || opt->kind == OPT_FILE || opt->kind == OPT_DIR;

	if (!opt->arg)
		return;
	out_printf(call->out, "            --%s", opt->name);
	if (opt->letter)
		out_printf(call->out, " | -%c", opt->letter);
	put(call, ") ");
	if (opt->values) {
		put(call, opt->kind == OPT_SET ? "@ID@_list '" : "@ID@_words '");
		put_values(call, opt->values);
		put(call, "'");
	} else if (opt->kind == OPT_NOT) {
		put(call, "@ID@_words 'true false'");
	} else if (opt->kind == OPT_FILE) {
		put(call, "@ID@_files -f");
	} else if (opt->kind == OPT_DIR) {
		put(call, "@ID@_files -d");
	}
	out_printf(call->out, "%sreturn ;;\n", offers ? "; " : "");
}

static void bash_command(const struct cmd_call *call, const struct vn_cmd *cmd)
{
	out_printf(call->out, "    '%s')\n        case $option in\n", cmd->name);
	for (const struct opt *const *group = cmd->groups; *group; group++)
		for (const struct opt *opt = *group; opt->name; opt++)
			bash_value(call, opt);
	put(call, "        esac\n        options='");
	for (const struct opt *const *group = cmd->groups; *group; group++)
		for (const struct opt *opt = *group; opt->name; opt++)
			out_printf(call->out, "--%s%s ", opt->name, opt->arg && opt->kind != OPT_MAYBE ? "=" : "");
	put(call, "'\n        arguments='");
	for (const struct opt_positional *arg = cmd->args; arg->name; arg++) {
		if (for_commands(arg))
			put_commands(call, arg);
		else if (arg->values)
			put_values(call, arg->values);
		else if (!for_registry(arg) && arg == cmd->args)
			put_transports(call);
	}
	out_printf(call->out, "'\n%s        ;;\n", cmd->files ? "        files=1\n" : "");
}

static void bash_commands(const struct cmd_call *call, const struct vn_cmd *const *table)
{
	for (; *table; table++) {
		if (!(*table)->subs) {
			bash_command(call, *table);
			continue;
		}
		out_printf(call->out, "    '%s')\n        options='--help' arguments='", (*table)->name);
		put_words(call, (*table)->subs);
		put(call, "'\n        ;;\n");
		bash_commands(call, (*table)->subs);
	}
}

/* Commands with others behind them: two words name what is called. */
static void bash_two_words(const struct cmd_call *call)
{
	for (const struct vn_cmd *const *cmd = call->program->commands; *cmd; cmd++)
		if ((*cmd)->subs)
			out_printf(call->out, "    [ \"$command\" = %s ] && [ \"$COMP_CWORD\" -gt 2 ] && command+=\" ${COMP_WORDS[2]}\"\n",
				   (*cmd)->name);
}

static void bash(const struct cmd_call *call)
{
	put(call, "# bash completion of @PROGRAM@, written by `@PROGRAM@ completion bash`\n"
		     "@ID@_words() {\n"
		     "    mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n"
		     "}\n"
		     "@ID@_list() {\n"
		     "    local last=${cur##*,} i\n"
		     "    mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$last\")\n"
		     "    for i in \"${!COMPREPLY[@]}\"; do COMPREPLY[i]=${cur%\"$last\"}${COMPREPLY[i]}; done\n"
		     "}\n"
		     "@ID@_files() {\n"
		     "    compopt -o filenames\n"
		     "    mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$cur\")\n"
		     "}\n"
		     "# '=' and ':' are words of their own: an option's value and a transport's path stand behind them.\n"
		     "@ID@() {\n"
		     "    local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} at=$((COMP_CWORD - 1))\n"
		     "    local options='' arguments='' files='' command=${COMP_WORDS[1]}\n"
		     "    COMPREPLY=()\n"
		     "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
		     "        @ID@_words '--help --version ");
	put_words(call, call->program->commands);
	put(call, "'\n"
		     "        return\n"
		     "    fi\n"
		     "    case $cur in = | :) cur='' at=$((COMP_CWORD)) ;; esac\n"
		     "    case ${COMP_WORDS[at]} in\n"
		     "    =) option=${COMP_WORDS[at - 1]} ;;\n"
		     "    :)\n"
		     "        case ${COMP_WORDS[at - 1]} in oci | oci-archive | docker-archive) @ID@_files -f ;; esac\n"
		     "        return\n"
		     "        ;;\n"
		     "    esac\n");
	bash_two_words(call);
	put(call, "    case $command in\n");
	bash_commands(call, call->program->commands);
	put(call, "    esac\n"
		     "    case $cur in\n"
		     "    -*) @ID@_words \"$options\" ;;\n"
		     "    *) @ID@_words \"$arguments\" ;;\n"
		     "    esac\n"
		     "    case $files$cur in\n"
		     "    1-*) ;;\n"
		     "    1*)\n"
		     "        local words=(\"${COMPREPLY[@]}\")\n"
		     "        @ID@_files -f\n"
		     "        COMPREPLY=(\"${words[@]}\" \"${COMPREPLY[@]}\")\n"
		     "        ;;\n"
		     "    esac\n"
		     "    case ${COMPREPLY[0]-} in *= | *:) compopt -o nospace ;; esac\n"
		     "}\n"
		     "complete -F @ID@ @PROGRAM@\n");
}

/* ---- zsh */

static void zsh_option(const struct cmd_call *call, const struct opt *opt)
{
	bool again = opt->kind == OPT_SET || opt->kind == OPT_LIST;

	put(call, " \\\n            ");
	if (opt->letter)
		out_printf(call->out, "'(-%c --%s)'{-%c%s,--%s%s}'", opt->letter, opt->name, opt->letter, opt->arg ? "+" : "",
			   opt->name, opt->arg ? "=" : "");
	else
		out_printf(call->out, "'%s--%s%s", again ? "*" : "", opt->name, opt_optional(opt) ? "=-" : opt->arg ? "=" : "");
	put(call, "[");
	put_quoted(call, opt->help, "[]:\\", "\\");
	put(call, "]");
	if (opt->arg) {
		put(call, opt_optional(opt) ? "::" : ":");
		put_quoted(call, opt->arg, "[]:\\", "\\");
		put(call, ":");
	}
	if (opt->values) {
		put(call, opt->kind == OPT_SET ? "_sequence compadd - " : "(");
		put_values(call, opt->values);
		put(call, opt->kind == OPT_SET ? "" : ")");
	} else if (opt->kind == OPT_NOT) {
		put(call, "(true false)");
	} else if (opt->kind == OPT_FILE || opt->kind == OPT_DIR) {
		put(call, opt->kind == OPT_DIR ? "_files -/" : "_files");
	}
	put(call, "'");
}

static void zsh_command(const struct cmd_call *call, const struct vn_cmd *cmd)
{
	size_t n = 1;

	out_printf(call->out, "    %s)\n        _arguments -s -S", cmd_word(cmd));
	for (const struct opt *const *group = cmd->groups; *group; group++)
		for (const struct opt *opt = *group; opt->name; opt++)
			zsh_option(call, opt);
	for (const struct opt_positional *arg = cmd->args; arg->name; arg++, n++) {
		out_printf(call->out, " \\\n            '%zu:%s%s:", n, arg->optional ? ":" : "", arg->name);
		if (for_commands(arg) || for_subcommands(arg)) {
			put(call, "(");
			put_commands(call, arg);
			put(call, ")");
		} else if (arg->values) {
			put(call, "(");
			put_values(call, arg->values);
			put(call, ")");
		} else {
			put(call, for_registry(arg) ? "_hosts" : cmd->files ? "@ID@_file" : "@ID@_image");
		}
		put(call, "'");
	}
	put(call, "\n        ;;\n");
}

/* What stands at the place of a command, and then each command's own words. */
static void zsh_commands(const struct cmd_call *call, const struct vn_cmd *const *table)
{
	put(call, "    local -a commands\n    commands=(");
	for (const struct vn_cmd *const *cmd = table; *cmd; cmd++) {
		out_printf(call->out, "\n        '%s:", cmd_word(*cmd));
		put_quoted(call, (*cmd)->summary, ":\\", "\\");
		put(call, "'");
	}
	put(call, "\n    )\n"
		     "    if (( CURRENT == 2 )); then\n"
		     "        _describe command commands\n"
		     "        return\n"
		     "    fi\n"
		     "    shift words\n"
		     "    (( CURRENT-- ))\n"
		     "    case $words[1] in\n");
	for (; *table; table++) {
		if (!(*table)->subs) {
			zsh_command(call, *table);
			continue;
		}
		out_printf(call->out, "    %s)\n", cmd_word(*table));
		zsh_commands(call, (*table)->subs);
		put(call, "        ;;\n");
	}
	put(call, "    esac\n");
}

static void zsh(const struct cmd_call *call)
{
	put(call, "#compdef @PROGRAM@\n"
		  "# zsh completion of @PROGRAM@, written by `@PROGRAM@ completion zsh`\n"
		  "@ID@_image() {\n"
		  "    if compset -P '(oci|oci-archive|docker-archive):'; then\n"
		  "        _files\n"
		  "    else\n"
		  "        compadd -S '' -- ");
	put_transports(call);
	put(call, "\n"
		  "    fi\n"
		  "}\n"
		  "@ID@_file() {\n"
		  "    local ret=1\n"
		  "    @ID@_image && ret=0\n"
		  "    _files && ret=0\n"
		  "    return ret\n"
		  "}\n"
		  "@ID@() {\n");
	zsh_commands(call, call->program->commands);
	put(call, "}\n"
		     "if [ \"$funcstack[1]\" = _@PROGRAM@ ]; then @ID@ \"$@\"; else compdef @ID@ @PROGRAM@; fi\n");
}

/* ---- fish */

/* "complete" for what follows a command's name, or its two words. */
static void fish_begin(const struct cmd_call *call, const struct vn_cmd *cmd)
{
	const char *space = strchr(cmd->name, ' ');

	put(call, "complete -c @PROGRAM@ -n '__fish_seen_subcommand_from ");
	out_printf(call->out, "%.*s", (int)strcspn(cmd->name, " "), cmd->name);
	if (space)
		out_printf(call->out, "; and __fish_seen_subcommand_from%s", space);
	put(call, "'");
}

static void fish_option(const struct cmd_call *call, const struct vn_cmd *cmd, const struct opt *opt)
{
	fish_begin(call, cmd);
	out_printf(call->out, " -l %s", opt->name);
	if (opt->letter)
		out_printf(call->out, " -s %c", opt->letter);
	if (opt->values && opt->kind == OPT_SET) {
		put(call, " -x -a \"(__fish_complete_list , 'string split \\\" \\\" -- \\\"");
		put_values(call, opt->values);
		put(call, "\\\"')\"");
	} else if (opt->values || opt->kind == OPT_NOT) {
		put(call, " -x -a '");
		if (opt->values)
			put_values(call, opt->values);
		else
			put(call, "true false");
		put(call, "'");
	} else if (opt->kind == OPT_DIR) {
		put(call, " -x -a '(__fish_complete_directories)'");
	} else if (opt->arg) {
		put(call, opt->kind == OPT_FILE ? " -r -F" : " -x");
	}
	put(call, " -d '");
	put_quoted(call, opt->help, "\\", "\\");
	put(call, "'\n");
}

static void fish_argument(const struct cmd_call *call, const struct vn_cmd *cmd, const struct opt_positional *arg)
{
	fish_begin(call, cmd);
	out_printf(call->out, "%s -a '", cmd->files ? " -F" : "");
	if (for_commands(arg) || for_subcommands(arg))
		put_commands(call, arg);
	else if (arg->values)
		put_values(call, arg->values);
	else if (for_registry(arg))
		put(call, "(__fish_print_hostnames)");
	else
		put_transports(call);
	put(call, "'\n");
}

static void fish_command(const struct cmd_call *call, const struct vn_cmd *cmd)
{
	const struct opt_positional *first = cmd->args;
	bool image = first->name && !first->values && !for_commands(first) && !for_subcommands(first) && !for_registry(first);

	if (first->name && (!image || cmd->files || call->program->transports))
		fish_argument(call, cmd, first);
	for (const struct opt *const *group = cmd->groups; *group; group++)
		for (const struct opt *opt = *group; opt->name; opt++)
			fish_option(call, cmd, opt);
}

static void fish_names(const struct cmd_call *call, const char *condition, const struct vn_cmd *const *table)
{
	for (; *table; table++) {
		put(call, "complete -c @PROGRAM@");
		out_printf(call->out, " -n '%s' -a %s -d '", condition, cmd_word(*table));
		put_quoted(call, (*table)->summary, "\\", "\\");
		put(call, "'\n");
	}
}

static void fish_subs(const struct cmd_call *call, const struct vn_cmd *cmd)
{
	OUT_CLEANUP(text_release) struct text condition = { 0 };

	text_addf(&condition, "__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from", cmd->name);
	for (const struct vn_cmd *const *sub = cmd->subs; *sub; sub++)
		text_addf(&condition, " %s", cmd_word(*sub));
	call->out->failed |= condition.failed;
	fish_names(call, text_get(&condition), cmd->subs);
	for (const struct vn_cmd *const *sub = cmd->subs; *sub; sub++)
		fish_command(call, *sub);
}

static void fish(const struct cmd_call *call)
{
	put(call, "# fish completion of @PROGRAM@, written by `@PROGRAM@ completion fish`\n"
		     "complete -c @PROGRAM@ -f\n"
		     "complete -c @PROGRAM@ -n __fish_use_subcommand -l help -s h -d 'show the commands'\n"
		     "complete -c @PROGRAM@ -n __fish_use_subcommand -l version -d 'show the version'\n");
	fish_names(call, "__fish_use_subcommand", call->program->commands);
	for (const struct vn_cmd *const *cmd = call->program->commands; *cmd; cmd++) {
		if ((*cmd)->subs)
			fish_subs(call, *cmd);
		else
			fish_command(call, *cmd);
	}
}

/* ---- the command */

static const char *const shells[] = { "bash", "zsh", "fish", NULL };

static int run(const struct cmd_call *call, struct vn_err *err)
{
	static void (*const write[])(const struct cmd_call *) = { bash, zsh, fish };

	for (size_t i = 0; shells[i]; i++)
		if (!strcmp(call->args[0], shells[i])) {
			write[i](call);
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
	{ "source <(@PROGRAM@ completion bash)", "for this shell" },
	{ "@PROGRAM@ completion zsh > \"${fpath[1]}/_@PROGRAM@\"", "for every zsh to come" },
	{ "@PROGRAM@ completion fish > ~/.config/fish/completions/@PROGRAM@.fish", "for every fish to come" },
	{ 0 },
};

const struct vn_cmd cmd_completion = {
	.name = "completion",
	.summary = "print the completion script for a shell",
	.about = "Print a script that completes commands, options and their values in bash, zsh or fish.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct cli_common),
	.examples = examples,
	.run = run,
};
