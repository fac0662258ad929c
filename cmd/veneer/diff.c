#include "show.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define MOST_PATHS 4       /* of a class, named without --files */

struct options {
	struct cmd_common common;
	bool files, layers;
	unsigned classes;
	struct opt_list paths;
	const char *platform, *policy, *source;
};

/* ---- layers */

static const char *state_of(const struct vn_layer_info *layer, enum out_style *ret_style)
{
	const char *verdict = layer->verdict;

	*ret_style = OUT_DIM;
	if (layer->in == VN_LAYER_BOTH)
		return "same";
	if (!strcmp(verdict, "same") || !strcmp(verdict, "metadata") || !strcmp(verdict, "noise"))
		return "rebuilt";
	*ret_style = !strcmp(verdict, "model") || !strcmp(verdict, "score") ? OUT_GOOD : OUT_NOTE;
	return "changed";
}

static void show_layer_table(struct out *out, const struct vn_layer_info *layers, size_t n)
{
	static const struct out_column columns[] = {
		{ "layer", true, 0, 0 }, { "step", false, 14, 44 }, { "size", true, 0, 0 }, { "in OLD?", false, 0, 0 },
		{ "verdict", false, 0, 0 },
	};
	OUT_CLEANUP(out_table_release) struct out_table table = { .columns = columns, .ncolumns = 5 };
	char size[VN_SIZE_TEXT];
	size_t gone = 0, shown = 0;

	for (size_t i = 0; i < n; i++) {
		const struct vn_layer_info *layer = &layers[i];
		OUT_CLEANUP(text_release) struct text step = { 0 };
		enum out_style style;
		const char *state = state_of(layer, &style);

		if (layer->in == VN_LAYER_OLD) {
			gone++;
			continue;
		}
		shown++;
		out_cellf(&table, OUT_PLAIN, "%zu", layer->new_number);
		show_step(&step, layer->step ? layer->step : "");
		out_cell(&table, OUT_PLAIN, text_get(&step));
		out_cell(&table, OUT_PLAIN, vn_size_text(layer->size, size));
		out_cell(&table, style, state);
		if (layer->in == VN_LAYER_BOTH)
			out_cell(&table, OUT_DIM, layer->pulled ? "pulled all the same" : "");
		else
			out_cellf(&table, style, "%s%s%s%s", layer->verdict, layer->why && *layer->why ? ": " : "",
				  layer->why ? layer->why : "", layer->pulled ? "" : " (not pulled)");
	}
	if (shown)
		out_table_print(&table, out);
	if (gone)
		out_printf(out, " %zu layer%s of OLD %s not in NEW\n", gone, gone == 1 ? "" : "s", gone == 1 ? "is" : "are");
}

static void layer_title(struct out *out, const struct vn_layer_info *layer)
{
	if (layer->in == VN_LAYER_BOTH)
		out_printf(out, "\nlayer %zu of NEW, %zu of OLD\n", layer->new_number, layer->old_number);
	else if (layer->in == VN_LAYER_NEW)
		out_printf(out, "\nlayer %zu of NEW\n", layer->new_number);
	else
		out_printf(out, "\nlayer %zu of OLD only\n", layer->old_number);
}

static void show_layer(struct out *out, const struct vn_layer_info *layer)
{
	OUT_CLEANUP(out_table_release) struct out_table facts = SHOW_FACTS;
	OUT_CLEANUP(text_release) struct text differing = { 0 };
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT], count[VN_COUNT_TEXT];

	layer_title(out, layer);
	show_fact(&facts, "digest", OUT_PLAIN, "%s", layer->digest ? layer->digest : "unknown");
	show_fact(&facts, "diff id", OUT_PLAIN, "%s", layer->diff_id ? layer->diff_id : "unknown");
	show_fact(&facts, "type", OUT_PLAIN, "%s", layer->media_type ? layer->media_type : "unknown");
	show_fact(&facts, "step", OUT_PLAIN, "%s", layer->step && *layer->step ? layer->step : "(no history)");
	show_fact(&facts, "size", OUT_PLAIN, "%s%s%s%s%s%s", vn_size_text(layer->size, a), layer->plain_size ? ", plain " : "",
		  layer->plain_size ? vn_size_text(layer->plain_size, b) : "", layer->files ? ", " : "",
		  layer->files ? vn_count_text(layer->files, count) : "",
		  !layer->files ? "" : layer->files == 1 ? " entry" : " entries");
	if (layer->in != VN_LAYER_OLD)
		show_fact(&facts, "pulled", OUT_PLAIN, "%s", layer->pulled ? "yes" : "no");
	for (int c = 0; c < VN_CLASSES; c++)
		if (layer->differing[c])
			text_addf(&differing, "%s%s %s", differing.len ? ", " : "", cmd_class_names[c],
				  vn_count_text(layer->differing[c], count));
	if (differing.len)
		show_fact(&facts, "differs", OUT_PLAIN, "%s", text_get(&differing));
	if (layer->verdict && *layer->verdict)
		show_fact(&facts, "verdict", OUT_PLAIN, "%s%s%s", layer->verdict, layer->why && *layer->why ? ": " : "",
			  layer->why ? layer->why : "");
	out->failed |= differing.failed;
	out_table_print(&facts, out);
}

static void show_image(struct out_table *facts, const char *label, const struct vn_image_info *image)
{
	char size[VN_SIZE_TEXT];

	show_fact(facts, label, OUT_PLAIN, "%s", image->reference);
	show_fact(facts, "", OUT_PLAIN, "%s", image->digest);
	show_fact(facts, "", OUT_DIM, "%s, %zu layer%s, %s, created %s", image->platform, image->layers,
		  image->layers == 1 ? "" : "s", vn_size_text(image->size, size),
		  image->created && *image->created ? image->created : "at no recorded time");
}

/* ---- facts */

/* The paths of a class, as far as the list of files has them; else how many there are. */
static void class_fact(struct out_table *facts, const char *label, const struct vn_diff *diff, enum vn_class class)
{
	const struct vn_diff_summary *summary = vn_diff_get_summary(diff);
	OUT_CLEANUP(text_release) struct text text = { 0 };
	const struct vn_file_change *files;
	size_t n = vn_diff_get_files(diff, &files), named = 0;
	char size[VN_SIZE_TEXT];

	if (!summary->class_files[class]) {
		show_fact(facts, label, OUT_DIM, "unchanged");
		return;
	}
	show_count(&text, summary->class_files[class], "file");
	if (summary->class_bytes[class])
		text_addf(&text, ", %s", vn_size_text(summary->class_bytes[class], size));
	for (size_t i = 0; i < n && named < MOST_PATHS; i++)
		if (files[i].class_ == class)
			text_addf(&text, "%s%s%s%s", named++ ? ", " : ": ", files[i].path,
				  files[i].change == VN_CHANGED ? "" : " ",
				  files[i].change == VN_CHANGED ? "" : vn_change_name(files[i].change));
	if (named && summary->class_files[class] > named)
		text_add(&text, ", …");
	facts->failed |= text.failed;
	show_fact(facts, label, class == VN_CLASS_SCORE ? OUT_GOOD : OUT_NOTE, "%s", text_get(&text));
}

static void model_facts(struct out_table *facts, const struct vn_diff *diff)
{
	const struct vn_model_info *models;
	size_t n = vn_diff_get_models(diff, &models);
	const struct vn_diff_summary *summary = vn_diff_get_summary(diff);
	char count[VN_COUNT_TEXT];

	if (show_models(facts, "model", models, n)) {
		if (summary->class_files[VN_CLASS_MODEL] > 1)
			show_fact(facts, "", OUT_DIM, "%s files of the model in all",
				  vn_count_text(summary->class_files[VN_CLASS_MODEL], count));
	} else if (summary->class_files[VN_CLASS_MODEL]) {
		class_fact(facts, "model", diff, VN_CLASS_MODEL);
	} else if (n) {
		show_fact(facts, "model", OUT_DIM, "unchanged (%zu found)", n);
	} else {
		/* no file was read when all layers are shared */
		show_fact(facts, "model", OUT_DIM, summary->files_new || summary->files_old ? "none found" : "unchanged");
	}
}

static void dependency_facts(struct out_table *facts, const struct vn_diff *diff)
{
	const struct vn_diff_summary *summary = vn_diff_get_summary(diff);
	OUT_CLEANUP(text_release) struct text counts = { 0 }, changes = { 0 };
	const struct vn_package_change *packages;
	const struct vn_package_count *managers;
	size_t n = vn_diff_get_packages(diff, &packages), m = vn_diff_get_package_counts(diff, &managers);
	char a[VN_COUNT_TEXT], b[VN_COUNT_TEXT];

	for (size_t i = 0; i < m; i++) {
		text_addf(&counts, "%s%s ", counts.len ? ", " : " (", managers[i].manager);
		if (managers[i].old_count != managers[i].new_count)
			text_addf(&counts, "%s → ", vn_count_text(managers[i].old_count, a));
		text_addf(&counts, "%s", vn_count_text(managers[i].new_count, b));
	}
	if (counts.len)
		text_add(&counts, " packages)");
	show_packages(&changes, packages, n);
	facts->failed |= counts.failed || changes.failed;
	if (n)
		show_fact(facts, "dependencies", OUT_NOTE, "%s%s", text_get(&changes), text_get(&counts));
	if (summary->class_files[VN_CLASS_DEPENDENCY])
		class_fact(facts, n ? "" : "dependencies", diff, VN_CLASS_DEPENDENCY);
	else if (!n)
		show_fact(facts, "dependencies", OUT_DIM, "unchanged%s", text_get(&counts));
}

static void noise_facts(struct out_table *facts, const struct vn_diff *diff)
{
	const struct vn_diff_summary *summary = vn_diff_get_summary(diff);
	OUT_CLEANUP(text_release) struct text text = { 0 };
	const struct vn_rule_count *rules;
	size_t n = vn_diff_get_rules(diff, &rules), named = 0;
	char count[VN_COUNT_TEXT];

	if (summary->class_files[VN_CLASS_NOISE]) {
		show_count(&text, summary->class_files[VN_CLASS_NOISE], "file");
		for (size_t i = 0; i < n; i++)
			if (!strcmp(rules[i].class_name, cmd_class_names[VN_CLASS_NOISE]))
				text_addf(&text, "%s%s %s", named++ ? ", " : " by rule: ", rules[i].rule,
					  vn_count_text(rules[i].files, count));
		facts->failed |= text.failed;
		show_fact(facts, "build noise", OUT_DIM, "%s", text_get(&text));
	}
	if (summary->class_files[VN_CLASS_METADATA])
		show_fact(facts, "metadata", OUT_DIM, "%s %s in nothing but times",
			  vn_count_text(summary->class_files[VN_CLASS_METADATA], count),
			  summary->class_files[VN_CLASS_METADATA] == 1 ? "file differs" : "files differ");
	if (!summary->files_new && !summary->files_old)
		return;
	show_fact(facts, "equal", OUT_DIM, "%s of %s files", vn_count_text(summary->files_equal, count),
		  vn_count_text(summary->files_new, (char[VN_COUNT_TEXT]){ 0 }));
}

static void config_facts(struct out_table *facts, const struct vn_diff *diff)
{
	OUT_CLEANUP(text_release) struct text ignored = { 0 };
	const struct vn_config_change *config;
	size_t n = vn_diff_get_config(diff, &config);

	if (!show_config(facts, "image config", config, n, &ignored))
		show_fact(facts, "image config", OUT_DIM, "unchanged%s%s", ignored.len ? " but for " : "", text_get(&ignored));
	facts->failed |= ignored.failed;
}

static void show_facts(struct out *out, const struct vn_diff *diff)
{
	OUT_CLEANUP(out_table_release) struct out_table facts = SHOW_FACTS;
	const struct vn_diff_summary *summary = vn_diff_get_summary(diff);
	const struct vn_source_change *source;
	size_t nsource = vn_diff_get_source(diff, &source);

	model_facts(&facts, diff);
	class_fact(&facts, "score script", diff, VN_CLASS_SCORE);
	dependency_facts(&facts, diff);
	if (summary->class_files[VN_CLASS_CONFIG])
		class_fact(&facts, "settings", diff, VN_CLASS_CONFIG);
	if (summary->class_files[VN_CLASS_OTHER])
		class_fact(&facts, "other files", diff, VN_CLASS_OTHER);
	config_facts(&facts, diff);
	noise_facts(&facts, diff);
	show_source(&facts, source, nsource);
	if (!nsource && summary->source_revision_new && summary->source_revision_old)
		show_fact(&facts, "source", OUT_DIM, "no dependency file changed since %s", summary->source_revision_old);
	else if (!nsource && summary->source_revision_new)
		show_fact(&facts, "source", OUT_NOTE, "what changed is not known: OLD records no revision of it");
	out_table_print(&facts, out);
}

/* ---- what to type next */

/* Where the thin image could go: NEW's place with "-thin" behind its tag. */
static void suggest_dest(struct text *dest, const char *new_ref)
{
	static const char *const files[] = { "oci-archive:", "docker-archive:", "docker-daemon:" };
	const char *at = strchr(new_ref, '@'), *tag, *slash;
	bool layout = !strncmp(new_ref, "oci:", 4);
	size_t len = at && !layout ? (size_t)(at - new_ref) : strlen(new_ref);

	for (size_t i = 0; i < 3; i++)
		if (!strncmp(new_ref, files[i], strlen(files[i]))) {
			text_add(dest, "DEST");
			return;
		}
	if (layout) {
		tag = strchr(new_ref + 4, ':');
	} else {
		slash = memrchr(new_ref, '/', len);
		slash = slash ? slash : new_ref;
		tag = memchr(slash, ':', len - (size_t)(slash - new_ref));
	}
	text_add_bytes(dest, new_ref, len);
	text_add(dest, tag ? "-thin" : ":thin");
}

static void suggest(struct out *out, const struct cmd_call *call)
{
	const struct options *options = call->options;
	const struct cmd_common *common = call->options;
	OUT_CLEANUP(text_release) struct text dest = { 0 };
	const char *words[24] = { "veneer", "rebase" };
	size_t n = 2;
	const struct {
		const char *name, *value;
	} given[] = {
		{ "--platform", options->platform }, { "--policy", options->policy },     { "--source", options->source },
		{ "--authfile", common->authfile },  { "--cacert", common->cacert }, { "--cache-dir", common->cache_dir },
	};

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
		if (given[i].value) {
			words[n++] = given[i].name;
			words[n++] = given[i].value;
		}
	if (common->plain_http)
		words[n++] = "--plain-http";
	if (common->insecure)
		words[n++] = "--tls-verify=false";
	suggest_dest(&dest, call->args[1]);
	words[n++] = call->args[0];
	words[n++] = call->args[1];
	words[n++] = text_get(&dest);
	out->failed |= dest.failed;
	show_command(out, words, n);
}

static void show_next(struct out *out, const struct cmd_call *call, const struct vn_diff *diff)
{
	const struct vn_diff_summary *summary = vn_diff_get_summary(diff);
	const struct vn_source_change *source;
	size_t nsource = vn_diff_get_source(diff, &source);
	static const enum vn_class real[] = { VN_CLASS_DEPENDENCY, VN_CLASS_CONFIG, VN_CLASS_OTHER };
	OUT_CLEANUP(text_release) struct text blockers = { 0 }, line = { 0 };
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT];

	for (size_t i = 0; i < 3; i++) {
		uint64_t n = summary->class_files[real[i]];

		if (n) {
			text_addf(&blockers, "%s%s %s file%s", blockers.len ? ", " : "", vn_count_text(n, a),
				  cmd_class_names[real[i]], n == 1 ? "" : "s");
		}
	}
	out_put(out, "\n");
	if (summary->same) {
		out_paragraph(out, OUT_GOOD, 0, "To whoever runs them, OLD and NEW are the same: nothing needs to be shipped.");
	} else if (!summary->pull_bytes) {
		out_paragraph(out, OUT_PLAIN, 0, "A pull of NEW moves no layer: a rebase saves nothing.");
	} else if (summary->payload_bytes >= summary->pull_bytes) {
		text_addf(&line, "A rebase saves nothing: what differs weighs about %s, a pull moves %s.",
			  vn_size_text(summary->payload_bytes, a), vn_size_text(summary->pull_bytes, b));
		out_paragraph(out, OUT_NOTE, 0, text_get(&line));
	} else if (!blockers.len && nsource) {
		text_addf(&line,
			  "The images say that it is safe to rebase, but %s changed in the source since OLD was built. If NEW should "
			  "have got that change, its build is what to look at first.", source[0].path);
		out_paragraph(out, OUT_NOTE, 0, text_get(&line));
		suggest(out, call);
	} else if (!blockers.len) {
		out_styled(out, OUT_GOOD, "Safe to rebase:");
		out_put(out, "\n");
		suggest(out, call);
	} else {
		text_addf(&line, "More than the model changed (%s). A rebase carries it all, about %s; --mode paths refuses.",
			  text_get(&blockers), vn_size_text(summary->payload_bytes, a));
		out_paragraph(out, OUT_NOTE, 0, text_get(&line));
		suggest(out, call);
	}
	out->failed |= blockers.failed || line.failed;
}

/* ---- the command */

static void show_details(struct out *out, const struct cmd_call *call, const struct vn_diff *diff)
{
	const struct options *options = call->options;
	const struct vn_diff_summary *summary = vn_diff_get_summary(diff);
	const struct vn_layer_info *layers;
	const struct vn_file_change *files;
	size_t nlayers = vn_diff_get_layers(diff, &layers), nfiles = vn_diff_get_files(diff, &files);

	if (options->layers || summary->want_layers) {
		for (size_t i = 0; i < nlayers; i++)
			show_layer(out, &layers[i]);
	}
	if (options->files || summary->want_files || options->classes || options->paths.n) {
		out_put(out, "\n");
		show_files(out, files, nfiles, SIZE_MAX);
		if (!nfiles)
			out_put(out, " no such file differs\n");
	}
}

static void show_text(struct out *out, const struct cmd_call *call, const struct vn_diff *diff)
{
	const struct options *options = call->options;
	const struct vn_diff_summary *summary = vn_diff_get_summary(diff);
	const struct vn_layer_info *layers;
	size_t n = vn_diff_get_layers(diff, &layers);

	out_paragraph(out, OUT_BOLD, 0, summary->sentence);
	if (options->layers || summary->want_layers) {
		OUT_CLEANUP(out_table_release) struct out_table facts = SHOW_FACTS;

		out_put(out, "\n");
		show_image(&facts, "OLD", &summary->old_);
		show_image(&facts, "NEW", &summary->new_);
		out_table_print(&facts, out);
	}
	if (!summary->identical) {
		out_put(out, "\n");
		show_layer_table(out, layers, n);
		out_put(out, "\n");
		show_facts(out, diff);
	}
	show_details(out, call, diff);
	if (!summary->identical)
		show_next(out, call, diff);
}

static void free_diff(struct vn_diff **diff)
{
	if (*diff)
		vn_diff_free(*diff);
}

static int run(const struct cmd_call *call, struct vn_err *err)
{
	const struct options *options = call->options;
	struct vn_diff_options how = {
		.size = sizeof(how),
		.platform = options->platform,
		.policy = options->policy,
		.source_dir = options->source,
		.all_files = (options->classes & 1u << VN_CLASS_METADATA) || (call->json && options->files),
		.list_classes = options->classes,
		.list_paths = options->paths.n ? options->paths.at : NULL,
	};
	CMD_AUTO_VN vn = NULL;
	OUT_CLEANUP(free_diff) struct vn_diff *diff = NULL;
	CMD_AUTO_FREE char *json = NULL;
	const struct vn_diff_summary *summary;

	if (cmd_open(call, NULL, NULL, &vn, err) < 0 || vn_diff_run(vn, call->args[0], call->args[1], &how, &diff, err) < 0)
		return -(int)err->code;
	meter_clear(call->meter);
	if (call->json && vn_diff_json(diff, &json, err) < 0)
		return -(int)err->code;
	if (call->json)
		cmd_put_json(call->out, json);
	else if (!call->common->quiet)
		show_text(call->out, call, diff);
	summary = vn_diff_get_summary(diff);
	return !summary->same && !summary->identical;
}

#define AT(field) offsetof(struct options, field)
static const struct opt own[] = {
	{ "files", 0, OPT_FLAG, AT(files), NULL, "list every file that differs, with class and rule", NULL },
	{ "layers", 0, OPT_FLAG, AT(layers), NULL, "show digests, steps and sizes of every layer in full", NULL },
	{ "class", 0, OPT_SET, AT(classes), "CLASS,...", "list only files of these classes", cmd_class_names },
	{ "path", 0, OPT_LIST, AT(paths), "PATTERN", "list only files whose path matches, such as '**/models/**' (repeatable)",
	  NULL },
	{ "platform", 0, OPT_TEXT, AT(platform), "PLATFORM", "which image of an index, such as linux/arm64", NULL },
	{ "policy", 0, OPT_FILE, AT(policy), "FILE", "patterns and rules [.veneer]", NULL },
	{ "source", 0, OPT_DIR, AT(source), "DIR", "git work tree of the model: tell which dependency files changed", NULL },
	{ 0 },
};
static const struct opt_positional args[] = {
	{ "OLD", "the image that devices hold", false, NULL },
	{ "NEW", "the image that was just built", false, NULL },
	{ 0 },
};
static const struct opt *const groups[] = { own, cmd_registry_options, cmd_cache_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer diff edge.example.io/app:1 edge.example.io/app:2", "what a device with :1 would pull for :2, and why" },
	{ "veneer diff --class dependency,other oci:build:1 oci:build:2", "the files that are not just the model" },
	{ "veneer diff --format json OLD NEW | jq .pull.bytes", "for a gate in CI; exit status 1 says that they differ" },
	{ 0 },
};

const struct vn_cmd cmd_diff = {
	.name = "diff",
	.summary = "say what differs between two images, and what a pull would move",
	.about = "Compare two images: layers, files, packages and configuration. Every difference gets a class, so that build "
		 "noise can be told from a model, a dependency or a setting that really changed. Exit status 0: the same but "
		 "for metadata and noise; 1: they differ.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct options),
	.examples = examples,
	.run = run,
};
