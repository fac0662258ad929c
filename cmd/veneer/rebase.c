#include "show.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BLOCKERS 40   /* files listed when paths mode refuses */

struct options {
	struct cmd_common common;
	unsigned mode;           /* 0 default, 1 content, 2 paths */
	unsigned accept;         /* bits 1 << place in accept_names */
	bool split, dry_run, move_tag, larger;
	const char *platform, *policy, *source, *tag, *build, *digestfile;
};

static const char *const mode_names[] = { "content", "paths", NULL };
static const enum vn_rebase_mode modes[] = { VN_MODE_DEFAULT, VN_MODE_CONTENT, VN_MODE_PATHS };
static const char *const accept_names[] = { "dependency", "config", "other", NULL };
static const enum vn_class accept_classes[] = { VN_CLASS_DEPENDENCY, VN_CLASS_CONFIG, VN_CLASS_OTHER };

/* False when paths mode refuses: nothing has been put together then, and there are no bytes to speak of. */
static bool planned(const struct vn_rebase_image *image)
{
	return !image->nblockers && image->digest && *image->digest;
}

static void layer_facts(struct out_table *facts, const struct vn_rebase_image *image, bool dry_run)
{
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT];

	for (size_t i = 0; i < image->nlayers; i++) {
		const struct vn_veneer_layer *layer = &image->layers[i];
		OUT_CLEANUP(text_release) struct text text = { 0 };

		show_count(&text, layer->files, "file");
		if (layer->whiteouts) {
			text_add(&text, ", ");
			show_count(&text, layer->whiteouts, "deletion");
		}
		text_addf(&text, ", %s", vn_size_text(layer->size, a));
		if (layer->plain_size)
			text_addf(&text, " (plain %s)", vn_size_text(layer->plain_size, b));
		if (layer->digest && *layer->digest)
			text_addf(&text, "  %s", layer->digest);
		facts->failed |= text.failed;
		show_fact(facts, layer->role, OUT_GOOD, "%s%s", dry_run ? "about " : "", text_get(&text));
	}
	if (!image->nlayers && planned(image))
		show_fact(facts, "veneer", OUT_DIM, "no layer is needed");
}

static void proof_fact(struct out_table *facts, const struct vn_rebase_image *image)
{
	OUT_CLEANUP(text_release) struct text text = { 0 };
	char count[VN_COUNT_TEXT];
	uint64_t by_rule = 0;

	if (!image->proved)
		return;
	text_addf(&text, "%s %s equal", vn_count_text(image->proof_equal, count),
		  image->proof_equal == 1 ? "entry" : "entries");
	for (size_t i = 0; i < image->nproof_rules; i++)
		by_rule += image->proof_rules[i].files;
	if (by_rule)
		text_addf(&text, "; %s %s by rule:", vn_count_text(by_rule, count), by_rule == 1 ? "differs" : "differ");
	for (size_t i = 0; by_rule && i < image->nproof_rules; i++)
		text_addf(&text, "%s %s %s", i ? "," : "", image->proof_rules[i].rule,
			  vn_count_text(image->proof_rules[i].files, count));
	facts->failed |= text.failed;
	show_fact(facts, "proof", OUT_GOOD, "%s", text_get(&text));
}

static void carried_facts(struct out_table *facts, const struct vn_rebase_image *image)
{
	OUT_CLEANUP(text_release) struct text packages = { 0 }, ignored = { 0 }, classes = { 0 };
	char count[VN_COUNT_TEXT];

	for (int c = 0; c < VN_CLASSES; c++)
		if (image->payload_files[c])
			text_addf(&classes, "%s%s %s", classes.len ? ", " : "", cmd_class_names[c],
				  vn_count_text(image->payload_files[c], count));
	if (classes.len)
		show_fact(facts, "files", OUT_PLAIN, "%s", text_get(&classes));
	show_models(facts, "model", image->models, image->nmodels);
	if (image->npackages) {
		show_packages(&packages, image->packages, image->npackages);
		show_fact(facts, "packages", OUT_NOTE, "%s", text_get(&packages));
	}
	show_config(facts, "image config", image->config, image->nconfig, &ignored);
	if (image->accepted && *image->accepted)
		show_fact(facts, "accepted", OUT_NOTE, "%s: files left as in OLD, and recorded in the image", image->accepted);
	facts->failed |= packages.failed || ignored.failed || classes.failed;
}

static void image_facts(struct out_table *facts, const struct vn_rebase_image *image, bool dry_run)
{
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT];

	show_fact(facts, "base", OUT_PLAIN, "%s, %zu layer%s kept", image->base_name && *image->base_name ? image->base_name :
		  image->base_digest ? image->base_digest : "OLD", image->base_layers, image->base_layers == 1 ? "" : "s");
	layer_facts(facts, image, dry_run);
	carried_facts(facts, image);
	if (planned(image))
		show_fact(facts, "pull", OUT_PLAIN, "%s instead of %s", vn_size_text(image->pull_after, a),
			  vn_size_text(image->pull_before, b));
	proof_fact(facts, image);
}

static void show_blockers(struct out *out, const struct vn_rebase_image *image)
{
	OUT_CLEANUP(text_release) struct text line = { 0 };

	if (!image->nblockers)
		return;
	show_count(&line, image->nblockers, "difference");
	text_add(&line, " that paths mode does not carry:");
	out->failed |= line.failed;
	out_printf(out, "\n%s\n", text_get(&line));
	show_files(out, image->blockers, image->nblockers, MOST_BLOCKERS);
}

static void outcome_facts(struct out_table *facts, const struct vn_rebase_result *result, bool dry_run)
{
	const char *digest = result->digest && !strchr(result->reference, '@') ? result->digest : "";
	char size[VN_SIZE_TEXT];

	show_source(facts, result->source, result->nsource);
	if (result->up_to_date)
		show_fact(facts, "push", OUT_DIM, "nothing: %s is there already%s%s", result->reference,
			  *digest ? "  " : "", digest);
	else if (result->written)
		show_fact(facts, "push", OUT_GOOD, "%s to %s%s%s", vn_size_text(result->uploaded_bytes, size),
			  result->reference, *digest ? "  " : "", digest);
	else if (dry_run)
		show_fact(facts, "push", OUT_NOTE, "nothing, a dry run: it would go to %s", result->reference);
}

/* One image shares its table with the outcome; the images of an index have a table each. */
static void show_text(struct out *out, const struct vn_rebase_result *result, bool dry_run)
{
	OUT_CLEANUP(out_table_release) struct out_table last = SHOW_FACTS;
	bool refused = false;

	for (size_t i = 0; i < result->nimages; i++) {
		OUT_CLEANUP(out_table_release) struct out_table facts = SHOW_FACTS;

		refused |= !planned(&result->images[i]);
		if (result->nimages == 1) {
			image_facts(&last, &result->images[i], dry_run);
			break;
		}
		out_styled(out, OUT_BOLD, result->images[i].platform);
		out_put(out, "\n");
		image_facts(&facts, &result->images[i], dry_run);
		out_table_print(&facts, out);
		show_blockers(out, &result->images[i]);
		out_put(out, "\n");
	}
	outcome_facts(&last, result, dry_run);
	out_table_print(&last, out);
	if (result->nimages == 1)
		show_blockers(out, &result->images[0]);
	if (!refused && result->sentence && *result->sentence) {
		out_put(out, "\n");
		out_paragraph(out, OUT_BOLD, 0, result->sentence);
	}
}

static int write_digest(const char *path, const char *digest, struct vn_err *err)
{
	FILE *file = fopen(path, "we");
	bool broken;

	if (!file)
		return opt_fail(err, VN_EIO, NULL, "cannot write %s: %s", path, strerror(errno));
	broken = fprintf(file, "%s\n", digest) < 0;
	broken = fclose(file) || broken;
	return broken ? opt_fail(err, VN_EIO, NULL, "%s was not written in full", path) : 0;
}

static void free_rebase(struct vn_rebase **rebase)
{
	if (*rebase)
		vn_rebase_free(*rebase);
}

/* The result is shown also when it is a refusal that says what is in the way. */
static int show(const struct cmd_call *call, const struct vn_rebase *rebase, struct vn_err *err)
{
	const struct options *options = call->options;
	CMD_AUTO_FREE char *json = NULL;

	meter_clear(call->meter);
	if (!call->json && call->common->quiet) {
		if (vn_rebase_get(rebase)->written || vn_rebase_get(rebase)->up_to_date)
			cmd_put_line(call->out, vn_rebase_get(rebase)->reference);
		return 0;
	}
	if (!call->json) {
		show_text(call->out, vn_rebase_get(rebase), options->dry_run);
		return 0;
	}
	return vn_rebase_json(rebase, &json, err) < 0 ? -(int)err->code : cmd_put_json(call->out, json);
}

static void fill(const struct options *options, struct vn_rebase_options *how, enum vn_class *accept)
{
	*how = (struct vn_rebase_options){
		.size = sizeof(*how),
		.mode = modes[options->mode],
		.accept = accept,
		.split = options->split,
		.dry_run = options->dry_run,
		.move_tag = options->move_tag,
		.larger = options->larger,
		.platform = options->platform,
		.policy = options->policy,
		.source_dir = options->source,
		.tag = options->tag,
		.build = options->build,
	};
	for (unsigned i = 0; accept_names[i]; i++)
		if (options->accept & 1u << i)
			accept[how->naccept++] = accept_classes[i];
}

static int run(const struct cmd_call *call, struct vn_err *err)
{
	const struct options *options = call->options;
	CMD_AUTO_VN vn = NULL;
	OUT_CLEANUP(free_rebase) struct vn_rebase *rebase = NULL;
	enum vn_class accept[VN_CLASSES];
	const struct vn_rebase_result *result;
	struct vn_rebase_options how;
	struct vn_err broken = { 0 };
	int rc;

	fill(options, &how, accept);
	if (cmd_open(call, NULL, NULL, &vn, err) < 0)
		return -(int)err->code;
	rc = vn_rebase_run(vn, call->args[0], call->args[1], call->args[2], &how, &rebase, err);
	if (rc < 0) {
		if (rebase && err->code == VN_EREFUSED && show(call, rebase, &broken) < 0)
			*err = broken;
		return -(int)err->code;
	}
	if (show(call, rebase, err) < 0)
		return -(int)err->code;
	result = vn_rebase_get(rebase);
	if (options->digestfile && (result->written || result->up_to_date))
		return write_digest(options->digestfile, result->digest, err);
	return 0;
}

#define AT(field) offsetof(struct options, field)
static const struct opt own[] = {
	{ "mode", 0, OPT_CHOICE, AT(mode), "MODE",
	  "content: carry whatever really differs; paths: carry model and score files, refuse when more differs [content]",
	  mode_names },
	{ "accept", 0, OPT_SET, AT(accept), "CLASS,...", "paths mode: leave differences of these classes as in OLD",
	  accept_names },
	{ "split", 0, OPT_FLAG, AT(split), NULL, "model and score script in layers of their own", NULL },
	{ "dry-run", 0, OPT_FLAG, AT(dry_run), NULL, "show the plan and the predicted bytes, write nothing", NULL },
	{ "move-tag", 0, OPT_FLAG, AT(move_tag), NULL, "DEST's tag may move from another image", NULL },
	{ "larger", 0, OPT_FLAG, AT(larger), NULL, "go on although nothing is saved", NULL },
	{ "platform", 0, OPT_TEXT, AT(platform), "PLATFORM", "one image of an index, such as linux/arm64 [all]", NULL },
	{ "policy", 0, OPT_FILE, AT(policy), "FILE", "patterns, rules and defaults [.veneer]", NULL },
	{ "source", 0, OPT_DIR, AT(source), "DIR", "git work tree of the model: its revision is recorded in the image", NULL },
	{ "tag", 0, OPT_TEXT, AT(tag), "TEMPLATE", "DEST's tag, such as model-{git.describe}", NULL },
	{ "build", 0, OPT_TEXT, AT(build), "TEXT", "what {build} stands for in the template", NULL },
	{ "digestfile", 0, OPT_FILE, AT(digestfile), "FILE", "write the digest of the result to FILE", NULL },
	{ 0 },
};
static const struct opt_positional args[] = {
	{ "OLD", "the image that devices hold; its layers stay untouched", false, NULL },
	{ "NEW", "the image that was just built", false, NULL },
	{ "DEST", "where the thin image goes", false, NULL },
	{ 0 },
};
static const struct opt *const groups[] = { own, cmd_registry_options, cmd_cache_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer rebase --dry-run repo/app:1 repo/app:2 repo/app:iot-2", "what would be pushed and pulled" },
	{ "veneer rebase --mode paths repo/app:1 repo/app:2 repo/app:iot-2", "only if nothing but the model changed" },
	{ "veneer rebase --source . --tag 'iot-{git.describe}' OLD NEW repo/app", "a tag that names itself" },
	{ 0 },
};

const struct vn_cmd cmd_rebase = {
	.name = "rebase",
	.summary = "make a thin image: OLD's layers and a small one, behaving as NEW",
	.about = "Write to DEST an image of OLD's layers, byte for byte, and one layer on top that makes the result equal "
		 "NEW. A device that holds OLD pulls just that layer. The result is read back and compared with NEW before "
		 "success is reported.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct options),
	.examples = examples,
	.run = run,
};
