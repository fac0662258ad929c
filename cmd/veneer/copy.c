#include "show.h"
#include <stddef.h>

struct options {
	struct cmd_common common;
	const char *platform;
	bool move_tag;
};

static int show_json(struct out *out, const struct vn_copy_report *report)
{
	OUT_CLEANUP(text_release) struct text json = { 0 };

	text_add(&json, "{\"schema\":\"veneer.copy/1\",\"reference\":");
	text_json(&json, report->reference);
	text_add(&json, ",\"digest\":");
	text_json(&json, report->digest);
	text_addf(&json, ",\"bytes\":%llu,\"blobs\":%zu,\"images\":%zu}", (unsigned long long)report->bytes, report->blobs,
		  report->images);
	out->failed |= json.failed;
	return cmd_put_json(out, text_get(&json));
}

static int run(const struct cmd_call *call, struct vn_err *err)
{
	const struct options *options = call->options;
	OUT_CLEANUP(text_release) struct text line = { 0 };
	struct vn_copy_report report = { 0 };
	CMD_AUTO_VN vn = NULL;
	char size[VN_SIZE_TEXT];

	if (cmd_open(call, NULL, NULL, &vn, err) < 0 ||
	    vn_copy_run(vn, call->args[0], call->args[1], options->platform, options->move_tag, &report, err) < 0)
		return -(int)err->code;
	meter_clear(call->meter);
	if (call->json)
		return show_json(call->out, &report);
	cmd_put_line(call->out, report.reference);
	if (call->common->quiet)
		return 0;
	show_count(&line, report.images, "image");
	text_add(&line, ", ");
	show_count(&line, report.blobs, "blob");
	out_printf(call->out, " %s, %s moved\n", text_get(&line), vn_size_text(report.bytes, size));
	call->out->failed |= line.failed;
	return 0;
}

#define AT(field) offsetof(struct options, field)
static const struct opt own[] = {
	{ "platform", 0, OPT_TEXT, AT(platform), "PLATFORM", "one image of an index, such as linux/arm64 [all]", NULL },
	{ "move-tag", 0, OPT_FLAG, AT(move_tag), NULL, "DEST's tag may move from another image", NULL },
	{ 0 },
};
static const struct opt_positional args[] = {
	{ "SRC", "the image to copy", false, NULL },
	{ "DEST", "where it goes", false, NULL },
	{ 0 },
};
static const struct opt *const groups[] = { own, cmd_registry_options, cmd_cache_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer copy edge.example.io/app:2 oci:build:2", "from a registry into an OCI layout" },
	{ "veneer copy docker-archive:app.tar edge.example.io/app:2", "what docker save wrote, into a registry" },
	{ 0 },
};

const struct vn_cmd cmd_copy = {
	.name = "copy",
	.summary = "copy an image between registries, layouts, archives and engines",
	.about = "Copy an image, or an index with all its images, byte for byte, so that digests stay. What DEST holds already "
		 "is not sent again.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct options),
	.examples = examples,
	.run = run,
};
