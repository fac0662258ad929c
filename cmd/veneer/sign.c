#include "cmd.h"
#include "show.h"
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct options {
	struct cmd_common common;
	struct opt_list keys, annotations;
	const char *passphrase_file, *release, *expires;
	bool bundle, dry_run;
};

/* Decimal, from 1; the library knows the most. */
static int take_release(const char *text, uint64_t *ret, struct vn_err *err)
{
	char *end = NULL;

	if (!text)
		return 0;
	if (*text >= '1' && *text <= '9')
		*ret = strtoumax(text, &end, 10);
	if (!end || *end || strlen(text) > 18)
		return opt_fail(err, VN_EUSAGE, NULL, "--release is \"%.40s\", expected a whole number from 1 to 9007199254740992", text);
	return 0;
}

static void show(struct out *out, const struct vn_sign_result *result)
{
	OUT_CLEANUP(out_table_release) struct out_table facts = SHOW_FACTS;

	for (size_t i = 0; i < result->nsignatures; i++) {
		const struct vn_signature *s = &result->signatures[i];

		show_fact(&facts, i ? "" : "key", OUT_PLAIN, "%s  %s  %.16s…", s->key, s->algorithm, s->key_id);
	}
	if (result->nsignatures && strcmp(result->signatures[0].annotations, "{}"))
		show_fact(&facts, "signed", OUT_PLAIN, "%s", result->signatures[0].annotations);
	if (*result->written)
		show_fact(&facts, "written", OUT_GOOD, "%s", result->written);
	out_paragraph(out, OUT_BOLD, 0, result->sentence);
	out_table_print(&facts, out);
}

static int run(const struct cmd_call *call, struct vn_err *err)
{
	const struct options *options = call->options;
	struct vn_sign_settings settings = {
		.size = sizeof(settings),
		.keys = options->keys.at,
		.annotations = options->annotations.at,
		.expires = options->expires,
		.bundle = options->bundle,
		.passphrase_file = options->passphrase_file,
		.dry_run = options->dry_run,
	};
	struct vn_sign_run *signing = NULL;
	CMD_AUTO_FREE char *json = NULL;
	CMD_AUTO_VN vn = NULL;
	int rc;

	if (take_release(options->release, &settings.release, err) < 0 || cmd_open(call, NULL, NULL, &vn, err) < 0 ||
	    vn_sign_image(vn, call->args[0], &settings, &signing, err) < 0)
		return -(int)err->code;
	meter_clear(call->meter);
	rc = call->json ? vn_sign_json(signing, &json, err) : 0;
	if (rc == 0 && call->json)
		rc = cmd_put_json(call->out, json);
	else if (rc == 0 && !call->common->quiet)
		show(call->out, vn_sign_get(signing));
	else if (rc == 0 && *vn_sign_get(signing)->written)
		cmd_put_line(call->out, vn_sign_get(signing)->written);
	vn_sign_free(signing);
	return rc;
}

#define AT(field) offsetof(struct options, field)
static const struct opt own[] = {
	{ "key", 'k', OPT_LIST, AT(keys), "FILE", "private key in PEM; repeatable", NULL },
	{ "passphrase-file", 0, OPT_FILE, AT(passphrase_file), "FILE", "of the key, instead of $COSIGN_PASSWORD", NULL },
	{ "annotation", 'a', OPT_LIST, AT(annotations), "KEY=VALUE", "signed beside the digest; repeatable", NULL },
	{ "release", 0, OPT_TEXT, AT(release), "N", "counter that devices never go back behind", NULL },
	{ "expires", 0, OPT_TEXT, AT(expires), "TIME", "2027-01-31T00:00:00Z, or 90d, 12h from now", NULL },
	{ "bundle", 0, OPT_FLAG, AT(bundle), NULL, "a Sigstore bundle instead of a signature tag", NULL },
	{ "dry-run", 'n', OPT_FLAG, AT(dry_run), NULL, "write nothing", NULL },
	{ 0 },
};
static const struct opt_positional args[] = {
	{ "REF", "the image to sign", false, NULL },
	{ 0 },
};
static const struct opt *const groups[] = { own, cmd_registry_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer sign -k ci.key --release 7 edge.example.io/app:2", "what devices may run next" },
	{ "veneer sign -k old.key -k new.key edge.example.io/app:2", "while keys change" },
	{ 0 },
};

const struct vn_cmd cmd_sign = {
	.name = "sign",
	.summary = "sign an image as cosign does, with keys and offline",
	.about = "Sign the digest that REF names, index or image, with ECDSA on P-256 or Ed25519, and keep the signature "
		 "beside the image: under the tag that cosign uses, or as a Sigstore bundle that refers to it. Signatures "
		 "that are there stay.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct options),
	.examples = examples,
	.run = run,
};
