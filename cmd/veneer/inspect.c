#include "show.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct options {
	struct cmd_common common;
	const char *platform;
	bool tags, raw, config;
};

static void fact_if(struct out_table *facts, const char *label, const char *value)
{
	if (value && *value)
		show_fact(facts, label, OUT_PLAIN, "%s", value);
}

static void pair_facts(struct out_table *facts, const char *label, const struct vn_inspect_pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		show_fact(facts, i ? "" : label, OUT_PLAIN, "%s=%s", pairs[i].key, pairs[i].value);
}

static bool is_label(const struct vn_inspect_image *image, const struct vn_inspect_pair *pair)
{
	for (size_t i = 0; i < image->nlabels; i++)
		if (!strcmp(image->labels[i].key, pair->key) && !strcmp(image->labels[i].value, pair->value))
			return true;
	return false;
}

/* An annotation that repeats a label is not shown again. */
static void annotation_facts(struct out_table *facts, const struct vn_inspect_image *image)
{
	size_t shown = 0, repeated = 0;

	for (size_t i = 0; i < image->nannotations; i++) {
		const struct vn_inspect_pair *pair = &image->annotations[i];

		if (is_label(image, pair))
			repeated++;
		else
			show_fact(facts, shown++ ? "" : "annotations", OUT_PLAIN, "%s=%s", pair->key, pair->value);
	}
	if (repeated)
		show_fact(facts, shown ? "" : "annotations", OUT_DIM, "%zu equal to labels", repeated);
}

static void show_layers(struct out *out, const struct vn_inspect_layer *layers, size_t n)
{
	static const struct out_column columns[] = {
		{ "layer", true, 0, 0 }, { "size", true, 0, 0 }, { "digest", false, 19, 0 }, { "step", false, 0, 0 },
	};
	OUT_CLEANUP(out_table_release) struct out_table table = { .columns = columns, .ncolumns = 4 };
	char size[VN_SIZE_TEXT];

	for (size_t i = 0; i < n; i++) {
		OUT_CLEANUP(text_release) struct text step = { 0 };

		show_step(&step, layers[i].step ? layers[i].step : "");
		out_cellf(&table, OUT_PLAIN, "%zu", i + 1);
		out_cell(&table, OUT_PLAIN, vn_size_text(layers[i].size, size));
		out_cell(&table, OUT_DIM, layers[i].digest);
		out_cell(&table, OUT_PLAIN, text_get(&step));
	}
	if (n) {
		out_put(out, "\n");
		out_table_print(&table, out);
	}
}

static void show_image(struct out *out, const struct vn_inspect_image *image, bool index)
{
	OUT_CLEANUP(out_table_release) struct out_table facts = SHOW_FACTS;
	char size[VN_SIZE_TEXT];

	if (index) {
		out_put(out, "\n");
		out_styled(out, OUT_BOLD, image->platform);
		out_put(out, "\n");
	}
	fact_if(&facts, "digest", image->digest);
	fact_if(&facts, "type", image->media_type);
	if (!index)
		fact_if(&facts, "platform", image->platform);
	fact_if(&facts, "created", image->created);
	show_fact(&facts, "size", OUT_PLAIN, "%s in %zu layer%s", vn_size_text(image->size, size), image->nlayers,
		  image->nlayers == 1 ? "" : "s");
	fact_if(&facts, "base", image->base_name);
	fact_if(&facts, image->base_name && *image->base_name ? "" : "base", image->base_digest);
	fact_if(&facts, "entrypoint", image->entrypoint);
	fact_if(&facts, "command", image->cmd);
	fact_if(&facts, "user", image->user);
	fact_if(&facts, "workdir", image->workdir);
	pair_facts(&facts, "labels", image->labels, image->nlabels);
	annotation_facts(&facts, image);
	out_table_print(&facts, out);
	show_layers(out, image->layers, image->nlayers);
}

static void show_text(struct out *out, const struct vn_inspect_result *result)
{
	OUT_CLEANUP(out_table_release) struct out_table facts = SHOW_FACTS;

	out_styled(out, OUT_BOLD, result->reference);
	out_put(out, "\n");
	if (result->index) {
		fact_if(&facts, "digest", result->digest);
		fact_if(&facts, "type", result->media_type);
		show_fact(&facts, "index", OUT_PLAIN, "%zu image%s", result->nimages, result->nimages == 1 ? "" : "s");
		out_table_print(&facts, out);
	}
	for (size_t i = 0; i < result->nimages; i++)
		show_image(out, &result->images[i], result->index);
	if (result->ntags)
		out_put(out, "\ntags\n");
	for (size_t i = 0; i < result->ntags; i++) {
		out_put(out, " ");
		out_escaped(out, result->tags[i]);
		out_put(out, "\n");
	}
}

/* Exact bytes for a file or a pipe; on a terminal nothing that it could obey. */
static int show_raw(const struct cmd_call *call, struct vn *vn, struct vn_err *err)
{
	const struct options *options = call->options;
	OUT_CLEANUP(text_release) struct text safe = { 0 };
	CMD_AUTO_FREE char *bytes = NULL;
	size_t len;

	if (vn_inspect_raw(vn, call->args[0], options->platform, options->config, &bytes, &len, err) < 0)
		return -(int)err->code;
	meter_clear(call->meter);
	if (!call->out->terminal) {
		fwrite(bytes, 1, len, call->out->file);
		return 0;
	}
	text_escape_bytes(&safe, bytes, len, true);
	call->out->failed |= safe.failed;
	return cmd_put_json(call->out, text_get(&safe));
}

static void free_inspect(struct vn_inspect **inspect)
{
	if (*inspect)
		vn_inspect_free(*inspect);
}

static int run(const struct cmd_call *call, struct vn_err *err)
{
	const struct options *options = call->options;
	const struct vn_inspect_options how = { .size = sizeof(how), .platform = options->platform, .tags = options->tags };
	CMD_AUTO_VN vn = NULL;
	OUT_CLEANUP(free_inspect) struct vn_inspect *inspect = NULL;
	CMD_AUTO_FREE char *json = NULL;

	if (options->raw && options->config)
		return opt_fail(err, VN_EUSAGE, NULL, "--raw shows the manifest, --config the configuration: give one of them");
	if (cmd_open(call, NULL, NULL, &vn, err) < 0)
		return -(int)err->code;
	if (options->raw || options->config)
		return show_raw(call, vn, err);
	if (vn_inspect_run(vn, call->args[0], &how, &inspect, err) < 0)
		return -(int)err->code;
	meter_clear(call->meter);
	if (call->json)
		return vn_inspect_json(inspect, &json, err) < 0 ? -(int)err->code : cmd_put_json(call->out, json);
	if (call->common->quiet)
		cmd_put_line(call->out, vn_inspect_get(inspect)->digest);
	else
		show_text(call->out, vn_inspect_get(inspect));
	return 0;
}

#define AT(field) offsetof(struct options, field)
static const struct opt own[] = {
	{ "platform", 0, OPT_TEXT, AT(platform), "PLATFORM", "one image of an index, such as linux/arm64 [all]", NULL },
	{ "tags", 0, OPT_FLAG, AT(tags), NULL, "list the tags beside this one", NULL },
	{ "raw", 0, OPT_FLAG, AT(raw), NULL, "print the manifest exactly as it is stored", NULL },
	{ "config", 0, OPT_FLAG, AT(config), NULL, "print the configuration exactly as it is stored", NULL },
	{ 0 },
};
static const struct opt_positional args[] = {
	{ "IMAGE", "what to look at", false, NULL },
	{ 0 },
};
static const struct opt *const groups[] = { own, cmd_registry_options, cmd_cache_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer inspect --tags edge.example.io/app:2", "the image, and which other tags there are" },
	{ "veneer inspect --raw --platform linux/arm64 oci:build:2 | sha256sum", "the digest of one platform's manifest" },
	{ 0 },
};

const struct vn_cmd cmd_inspect = {
	.name = "inspect",
	.summary = "show an image: layers, configuration, labels, tags",
	.about = "Show what a reference names: digests, platform, layers with the steps that made them, configuration, labels "
		 "and annotations. No layer is downloaded.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct options),
	.examples = examples,
	.run = run,
};
