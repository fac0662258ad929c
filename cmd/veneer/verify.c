#include "cmd.h"
#include "show.h"
#include <stddef.h>
#include <string.h>

struct options {
	struct cmd_common common;
	struct opt_list keys;
};

static void show(struct out *out, const struct vn_sign_result *result)
{
	OUT_CLEANUP(out_table_release) struct out_table facts = SHOW_FACTS;

	for (size_t i = 0; i < result->nsignatures; i++) {
		const struct vn_signature *s = &result->signatures[i];
		bool good = !*s->reason;

		show_fact(&facts, i ? "" : "signatures", good ? OUT_GOOD : OUT_NOTE, "%s: %s%s%s", s->form,
			  good ? "good, by " : s->key, !good && *s->key ? ", but " : "", good ? s->key : s->reason);
		if (*s->key && strcmp(s->annotations, "{}"))
			show_fact(&facts, "", OUT_PLAIN, "%s", s->annotations);
	}
	if (result->good)
		out_paragraph(out, OUT_BOLD, 0, result->sentence);
	out_table_print(&facts, out);
}

static int run(const struct cmd_call *call, struct vn_err *err)
{
	const struct options *options = call->options;
	struct vn_sign_settings settings = { .size = sizeof(settings), .keys = options->keys.at };
	struct vn_sign_run *verifying = NULL;
	struct vn_err failed = { 0 };
	CMD_AUTO_FREE char *json = NULL;
	CMD_AUTO_VN vn = NULL;
	int rc, shown = 0;

	if (cmd_open(call, NULL, NULL, &vn, err) < 0)
		return -(int)err->code;
	rc = vn_sign_verify(vn, call->args[0], &settings, &verifying, err);
	meter_clear(call->meter);
	if (!verifying)
		return rc;
	if (call->json)
		shown = vn_sign_json(verifying, &json, &failed);
	if (shown == 0 && call->json)
		shown = cmd_put_json(call->out, json);
	else if (shown == 0 && !call->common->quiet)
		show(call->out, vn_sign_get(verifying));
	else if (shown == 0 && rc == 0)
		cmd_put_line(call->out, vn_sign_get(verifying)->digest);
	vn_sign_free(verifying);
	if (rc == 0 && shown < 0) {
		*err = failed;
		return shown;
	}
	return rc;
}

#define AT(field) offsetof(struct options, field)
static const struct opt own[] = {
	{ "key", 'k', OPT_LIST, AT(keys), "FILE", "public key in PEM, any of several is enough", NULL },
	{ 0 },
};
static const struct opt_positional args[] = {
	{ "REF", "the image", false, NULL },
	{ 0 },
};
static const struct opt *const groups[] = { own, cmd_registry_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer verify -k ci.pub edge.example.io/app:2", "is it ours?" },
	{ "veneer verify -k old.pub -k new.pub oci:usb:2", "without any network, while keys change" },
	{ 0 },
};

const struct vn_cmd cmd_verify = {
	.name = "verify",
	.summary = "verify the signatures of an image, with keys and offline",
	.about = "Look at the signatures beside the digest that REF names, as veneer sign and cosign sign --key write them, "
		 "and tell which are good. The status is 1 when none is: unsigned, by other keys, about another image, or "
		 "expired.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct options),
	.examples = examples,
	.run = run,
};
