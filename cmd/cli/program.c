#include "cli/cli.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What went wrong, and below it what to do. */
static int complain(const struct cli_program *program, struct meter *meter, const struct vn_err *err)
{
	int status = vn_exit_status(err->code);
	const char *hint = err->hint;

	if (!*hint && status == 5)
		hint = "This may pass: try again.";
	meter_clear(meter);
	fflush(stdout);
	out_label(&meter->out, OUT_BAD, program->name, "");
	out_escaped(&meter->out, *err->text ? err->text : "failed without a reason");
	out_put(&meter->out, "\n");
	if (*hint)
		out_paragraph(&meter->out, OUT_PLAIN, 2, hint);
	return status ? status : 3;
}

static int run(const struct cli_program *program, const struct vn_cmd *cmd, int argc, char **argv, struct out *out,
	       struct meter *meter, struct vn_err *err)
{
	CMD_AUTO_FREE void *options = calloc(1, cmd->size);
	const char *args[OPT_MOST_ARGS];
	const struct cli_common *common = options;
	struct cmd_call call = {
		.program = program, .options = options, .args = args, .out = out, .meter = meter, .common = common,
	};
	int rc;

	if (!options)
		return opt_fail(err, VN_ENOMEM, NULL, "out of memory");
	rc = opt_parse(program->name, cmd->name, cmd->groups, cmd->args, argc, argv, options, args, &call.nargs, err);
	if (rc)
		return rc;
	if (common->help) {
		usage_command(out, program, cmd);
		return 0;
	}
	call.json = common->format == 2;
	meter_open(meter, stderr, program->name, common->quiet, common->verbose);
	rc = cmd->run(&call, err);
	meter_clear(meter);
	return rc;
}

/* `PROGRAM`, `PROGRAM --help`, `PROGRAM --version` and `PROGRAM COMMAND …`. */
static int dispatch(const struct cli_program *program, int argc, char **argv, struct out *out, struct meter *meter,
		    struct vn_err *err)
{
	const struct vn_cmd *cmd;
	int words = 2;

	if (argc < 2) {
		usage_overview(&meter->out, program);
		return 2;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		usage_overview(out, program);
		return 0;
	}
	cmd = !strcmp(argv[1], "--version") ? &cmd_version : NULL;
	if (!cmd && argv[1][0] == '-') {
		opt_fail(err, VN_EUSAGE, NULL, "the first word must be a command");
		snprintf(err->hint, sizeof(err->hint), "Options stand behind the command: %s %s", program->name, program->arguments);
		return -VN_EUSAGE;
	}
	cmd = cmd ? cmd : cmd_find(program, NULL, argv[1], err);
	if (cmd && cmd->subs && argc > 2 && argv[2][0] != '-') {
		cmd = cmd_find(program, cmd, argv[2], err);
		words = 3;
	}
	return cmd ? run(program, cmd, argc - words, argv + words, out, meter, err) : -VN_EUSAGE;
}

/* A file that the library opens must never become stdout. */
static bool have_standard_files(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && (errno != EBADF || open("/dev/null", fd ? O_WRONLY : O_RDONLY) != fd))
			return false;
	return true;
}

/* As when `head` has seen enough: nobody is left to be told anything. */
static bool reader_gone(void)
{
	struct pollfd out = { .fd = 1, .events = POLLOUT };
	struct stat st;

	return fstat(1, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) && poll(&out, 1, 0) > 0 && (out.revents & POLLERR);
}

int cli_main(const struct cli_program *program, int argc, char **argv)
{
	struct vn_err err = { 0 };
	struct meter meter;
	struct out out;
	int status, rc;

	if (!have_standard_files())
		return 3;
	/* whoever started this may have ignored it, and then no child could be waited for */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	out_open(&out, stdout);
	meter_open(&meter, stderr, program->name, false, false);
	rc = dispatch(program, argc, argv, &out, &meter, &err);
	status = rc < 0 ? complain(program, &meter, &err) : rc;
	if (out_finish(&out, &err) < 0 && (rc >= 0 || status < 3)) {
		if (reader_gone()) {
			signal(SIGPIPE, SIG_DFL);
			raise(SIGPIPE);
		}
		status = complain(program, &meter, &err);
	}
	return status;
}
