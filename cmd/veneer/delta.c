#include "delta.h"
#include <stddef.h>
#include <string.h>

static void fill(const struct delta_options *options, struct vn_delta_settings *settings)
{
	*settings = (struct vn_delta_settings){
		.size = sizeof(*settings),
		.effort = (int)options->effort,
		.target_memory = options->target_memory,
		.max_memory = options->max_memory,
		.interop = options->interop,
		.platform = options->platform,
		.files = options->files,
		.images = options->images,
		.larger = options->larger,
		.to = options->to,
		.digest = options->digest,
	};
}

static void free_run(struct vn_delta_run **run)
{
	if (*run)
		vn_delta_free(*run);
}
#define AUTO_RUN OUT_CLEANUP(free_run) struct vn_delta_run

/* With --quiet the name of what was written, nothing else. */
static void put_names(struct out *out, const struct vn_delta_result *result)
{
	bool applied = !strcmp(result->verb, "apply");

	if (applied && *result->target)
		cmd_put_line(out, result->target);
	for (size_t i = 0; i < result->nitems && !applied; i++)
		if (*result->items[i].reference)
			cmd_put_line(out, result->items[i].reference);
}

/* The result is shown also when it is a refusal that says why. */
static int finish(const struct cmd_call *call, const struct vn_delta_run *run, int rc, struct vn_err *err)
{
	const struct delta_options *options = call->options;
	struct vn_err broken = { 0 };
	CMD_AUTO_FREE char *json = NULL;

	if (!run)
		return rc;
	meter_clear(call->meter);
	if (call->json && vn_delta_json(run, &json, &broken) < 0) {
		*err = broken;
		return -(int)err->code;
	}
	if (call->json)
		cmd_put_json(call->out, json);
	else if (call->common->quiet)
		put_names(call->out, vn_delta_get(run));
	else
		delta_show(call->out, vn_delta_get(run), options->regions || call->common->verbose);
	return rc;
}

static int run_make(const struct cmd_call *call, struct vn_err *err)
{
	const struct delta_options *options = call->options;
	struct vn_delta_settings settings;
	CMD_AUTO_VN vn = NULL;
	AUTO_RUN *run = NULL;
	int rc;

	fill(options, &settings);
	if (cmd_open(call, NULL, NULL, &vn, err) < 0)
		return -(int)err->code;
	rc = vn_delta_make_run(vn, call->args[0], call->args[1], options->output, &settings, &run, err);
	return finish(call, run, rc, err);
}

static int run_show(const struct cmd_call *call, struct vn_err *err)
{
	struct vn_delta_settings settings;
	CMD_AUTO_VN vn = NULL;
	AUTO_RUN *run = NULL;
	int rc;

	fill(call->options, &settings);
	if (cmd_open(call, NULL, NULL, &vn, err) < 0)
		return -(int)err->code;
	rc = vn_delta_show_run(vn, call->args[0], &settings, &run, err);
	return finish(call, run, rc, err);
}

static int run_apply(const struct cmd_call *call, struct vn_err *err)
{
	const struct delta_options *options = call->options;
	struct vn_delta_settings settings;
	CMD_AUTO_VN vn = NULL;
	AUTO_RUN *run = NULL;
	int rc;

	fill(options, &settings);
	if (cmd_open(call, NULL, NULL, &vn, err) < 0)
		return -(int)err->code;
	rc = vn_delta_apply_run(vn, call->args[0], call->args[1], options->output, &settings, &run, err);
	return finish(call, run, rc, err);
}

static int run_push(const struct cmd_call *call, struct vn_err *err)
{
	const struct delta_options *options = call->options;
	struct vn_delta_settings settings;
	CMD_AUTO_VN vn = NULL;
	AUTO_RUN *run = NULL;
	int rc;

	fill(options, &settings);
	if (options->delta && (options->from.n || options->to))
		return opt_fail(err, VN_EUSAGE, "`veneer delta push --help` says how.",
				"--delta pushes what is made already: neither --from nor --to goes with it");
	if (cmd_open(call, NULL, NULL, &vn, err) < 0)
		return -(int)err->code;
	rc = options->delta ? vn_delta_push_made(vn, options->delta, call->args[0], &settings, &run, err) :
			      vn_delta_push_run(vn, options->from.at, options->from.n, call->args[0], &settings, &run, err);
	return finish(call, run, rc, err);
}

/* ---- the tables */

#define AT(field) offsetof(struct delta_options, field)
static const char *const efforts[] = { "1", "2", "3", NULL };
static const char *const tardiff_versions[] = { "1", "2", NULL };

static const struct opt make_own[] = {
	{ "output", 'o', OPT_FILE, AT(output), "DELTA", "write the delta there; without it, only say what it would be", NULL },
	{ "effort", 0, OPT_CHOICE, AT(effort), "N", "how hard to search, the least first [2]", efforts },
	{ "target-memory", 0, OPT_SIZE, AT(target_memory), "SIZE", "heap that the device may spend on applying it [4MiB]", NULL },
	{ "interop", 0, OPT_MAYBE, AT(interop), "VERSION", "layers as tar-diff, which other tools apply [1]", tardiff_versions },
	{ "platform", 0, OPT_TEXT, AT(platform), "PLATFORM", "one image of an index, such as linux/arm64", NULL },
	{ "larger", 0, OPT_FLAG, AT(larger), NULL, "keep it although it saves nothing", NULL },
	{ "files", 0, OPT_FLAG, AT(files), NULL, "OLD and NEW are plain files, whatever they hold", NULL },
	{ "images", 0, OPT_FLAG, AT(images), NULL, "OLD and NEW are images, whatever files there are", NULL },
	{ 0 },
};
static const struct opt show_own[] = {
	{ "regions", 0, OPT_FLAG, AT(regions), NULL, "each region: place, method, bytes", NULL },
	{ "files", 0, OPT_FLAG, AT(files), NULL, "DELTA is a plain file", NULL },
	{ "images", 0, OPT_FLAG, AT(images), NULL, "DELTA is an image, whatever files there are", NULL },
	{ 0 },
};
static const struct opt apply_own[] = {
	{ "output", 'o', OPT_FILE, AT(output), "OUT", "write what is rebuilt there; without it, only prove it", NULL },
	{ "digest", 0, OPT_TEXT, AT(digest), "DIGEST", "what is rebuilt must have it: file, image manifest, tar", NULL },
	{ "max-memory", 0, OPT_SIZE, AT(max_memory), "SIZE", "most heap that the delta may ask for [256MiB]", NULL },
	{ "platform", 0, OPT_TEXT, AT(platform), "PLATFORM", "one image of an index, such as linux/arm64", NULL },
	{ "files", 0, OPT_FLAG, AT(files), NULL, "OLD and DELTA are plain files", NULL },
	{ "images", 0, OPT_FLAG, AT(images), NULL, "OLD and DELTA are images, whatever files there are", NULL },
	{ 0 },
};
static const struct opt push_own[] = {
	{ "from", 0, OPT_LIST, AT(from), "OLD", "a release that devices hold; may be repeated", NULL },
	{ "to", 0, OPT_TEXT, AT(to), "REPOSITORY", "where the deltas go [NEW's repository]", NULL },
	{ "delta", 0, OPT_FILE, AT(delta), "DELTA", "push this one, which veneer delta make wrote", NULL },
	{ "effort", 0, OPT_CHOICE, AT(effort), "N", "how hard to search, the least first [2]", efforts },
	{ "target-memory", 0, OPT_SIZE, AT(target_memory), "SIZE", "heap that the device may spend on applying it [4MiB]", NULL },
	{ "interop", 0, OPT_MAYBE, AT(interop), "VERSION", "layers as tar-diff, which other tools apply [1]", tardiff_versions },
	{ "platform", 0, OPT_TEXT, AT(platform), "PLATFORM", "one image of an index, such as linux/arm64 [all]", NULL },
	{ "larger", 0, OPT_FLAG, AT(larger), NULL, "publish it although it saves nothing", NULL },
	{ 0 },
};
static const struct opt *const make_groups[] = { make_own, cmd_registry_options, cmd_cache_options, cmd_general_options, NULL };
static const struct opt *const show_groups[] = { show_own, cmd_registry_options, cmd_cache_options, cmd_general_options, NULL };
static const struct opt *const apply_groups[] = { apply_own, cmd_registry_options, cmd_cache_options, cmd_general_options, NULL };
static const struct opt *const push_groups[] = { push_own, cmd_registry_options, cmd_cache_options, cmd_general_options, NULL };

static const struct opt_positional make_args[] = {
	{ "OLD", "the file or image that devices hold", false, NULL },
	{ "NEW", "the file or image that they should get", false, NULL },
	{ 0 },
};
static const struct opt_positional show_args[] = {
	{ "DELTA", "a delta; or an image, whose deltas are listed", false, NULL },
	{ 0 },
};
static const struct opt_positional apply_args[] = {
	{ "OLD", "the file or image that the delta was made from", false, NULL },
	{ "DELTA", "the delta", false, NULL },
	{ 0 },
};
static const struct opt_positional push_args[] = {
	{ "NEW", "the image that devices should get; with --delta the repository", false, NULL },
	{ 0 },
};
static const struct cmd_example make_examples[] = {
	{ "veneer delta make old.onnx new.onnx", "how large would it be?" },
	{ "veneer delta make -o update.vnd old.onnx new.onnx", "write it" },
	{ "veneer delta make -o update.oci repo/app:iot-1 repo/app:iot-2", "of two images: an OCI archive" },
	{ 0 },
};
static const struct cmd_example show_examples[] = {
	{ "veneer delta show --regions update.vnd", "what each part of it does" },
	{ "veneer delta show repo/app:iot-2", "which deltas its registry has for it" },
	{ 0 },
};
static const struct cmd_example apply_examples[] = {
	{ "veneer delta apply -o new.onnx old.onnx update.vnd", "on the device" },
	{ "veneer delta apply -o model.onnx model.onnx update.vnd", "in place: replaced when the new one is whole" },
	{ 0 },
};

static const struct cmd_example push_examples[] = {
	{ "veneer delta push --from repo/app:iot-1 repo/app:iot-2", "from one release" },
	{ "veneer delta push --delta update.oci repo/app", "what was made before" },
	{ 0 },
};

static const struct vn_cmd make = {
	.name = "delta make",
	.summary = "make the delta from OLD to NEW",
	.about = "Make the delta that turns OLD into NEW: two plain files, or two images. It is applied before success is "
		 "reported. A delta that is not smaller than what it replaces is refused.",
	.args = make_args,
	.groups = make_groups,
	.size = sizeof(struct delta_options),
	.examples = make_examples,
	.files = true,
	.run = run_make,
};
static const struct vn_cmd show = {
	.name = "delta show",
	.summary = "show what a delta holds",
	.about = "Show what a delta says about itself: sizes, digests, the memory that applying takes, its methods.",
	.args = show_args,
	.groups = show_groups,
	.size = sizeof(struct delta_options),
	.examples = show_examples,
	.files = true,
	.run = run_show,
};
static const struct vn_cmd apply = {
	.name = "delta apply",
	.summary = "rebuild NEW from OLD and a delta",
	.about = "Rebuild NEW and prove it: every byte is compared with the digests in the delta before OUT appears.",
	.args = apply_args,
	.groups = apply_groups,
	.size = sizeof(struct delta_options),
	.examples = apply_examples,
	.files = true,
	.run = run_apply,
};
static const struct vn_cmd push = {
	.name = "delta push",
	.summary = "publish deltas to NEW beside it in its registry",
	.about = "Make the delta from each OLD to NEW, for each platform, and store it in NEW's repository: under a tag that "
		 "follows from both digests, and among the referrers of NEW. A delta that is not smaller than what it "
		 "replaces is not published, and that is said.",
	.args = push_args,
	.groups = push_groups,
	.size = sizeof(struct delta_options),
	.examples = push_examples,
	.run = run_push,
};
static const struct vn_cmd *const subs[] = { &make, &show, &apply, &push, NULL };

struct options {
	struct cmd_common common;
};

static int run(const struct cmd_call *call, struct vn_err *err)
{
	(void)call;
	return opt_fail(err, VN_EUSAGE, "Options stand behind it: veneer delta make [OPTION]... OLD NEW",
			"the word behind delta must be a command");
}

static const struct opt_positional args[] = {
	{ "COMMAND", "make, show, apply or push", false, NULL },
	{ 0 },
};
static const struct opt *const groups[] = { cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer delta make -o update.vnd old.onnx new.onnx", "where models are built" },
	{ "veneer delta apply -o new.onnx old.onnx update.vnd", "on the device" },
	{ 0 },
};

const struct vn_cmd cmd_delta = {
	.name = "delta",
	.summary = "make, show, apply, publish the smallest update from OLD to NEW",
	.about = "A delta turns OLD into NEW, byte for byte. Weights that moved a little are sent as small numbers, so that the "
		 "delta between a model and its fine-tuned successor is smaller than what general tools for deltas make.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct options),
	.examples = examples,
	.files = true,
	.subs = subs,
	.run = run,
};
