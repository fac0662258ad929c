#include "cli/cli.h"
#include "veneer/context.h"

static int run(const struct cmd_call *call, struct vn_err *err)
{
	OUT_CLEANUP(text_release) struct text json = { 0 };
	const char *libraries = call->program->libraries();

	(void)err;
	if (!call->json) {
		out_printf(call->out, "%s %s\n", call->program->name, vn_version());
		if (*libraries)
			out_paragraph(call->out, OUT_PLAIN, 0, libraries);
		return 0;
	}
	text_addf(&json, "{\"schema\":\"%s.version/1\",\"version\":", call->program->name);
	text_json(&json, vn_version());
	text_add(&json, ",\"libraries\":");
	text_json(&json, libraries);
	text_add(&json, "}");
	call->out->failed |= json.failed;
	return cmd_put_json(call->out, text_get(&json));
}

static const struct opt_positional args[] = { { 0 } };
static const struct opt *const groups[] = { cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "@PROGRAM@ version --format json", "for a script" },
	{ 0 },
};

const struct vn_cmd cmd_version = {
	.name = "version",
	.summary = "show the version, and those of the libraries in use",
	.about = "Show the version of @PROGRAM@ and of the libraries that it runs with.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct cli_common),
	.examples = examples,
	.run = run,
};
