#include "cmd.h"
#include "veneer/text.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const cmd_engines[] = { "moby", "containerd", "podman", "oci", "rootfs", NULL };

#define AT(field) offsetof(struct cmd_common, field)
const struct opt cmd_device_options[] = {
	{ "config", 0, OPT_FILE, AT(config), "FILE", "veneer-pull.json(5) [/etc/veneer-pull.json]", NULL },
	{ "state", 0, OPT_DIR, AT(state), "DIR", "journal and what is held [/var/lib/veneer-pull]", NULL },
	{ "engine", 0, OPT_CHOICE, AT(engine), "ENGINE", "what runs the image [moby]", cmd_engines },
	{ "endpoint", 0, OPT_TEXT, AT(endpoint), "ADDRESS", "the engine's socket, or for oci and rootfs a folder", NULL },
	{ "platform", 0, OPT_TEXT, AT(platform), "PLATFORM", "which image of an index, such as linux/arm64", NULL },
	{ 0 },
};
const struct opt cmd_registry_options[] = {
	{ "authfile", 0, OPT_FILE, AT(authfile), "FILE", "credential file, instead of the usual places", NULL },
	{ "cacert", 0, OPT_FILE, AT(cacert), "FILE", "trust these certificate authorities (PEM) too", NULL },
	{ "plain-http", 0, OPT_FLAG, AT(plain_http), NULL, "speak to registries without TLS", NULL },
	{ "tls-verify", 0, OPT_NOT, AT(insecure), "BOOL", "false: do not verify certificates", NULL },
	{ 0 },
};

/* A bar that moves belongs on a terminal; a log gets what happened and not how far it is. */
static void tell(void *user, const struct vn_event *event)
{
	const struct meter *meter = user;

	if (meter->out.terminal || event->kind == VN_EVENT_WARNING || event->kind == VN_EVENT_DEBUG)
		meter_tell(user, event);
}

int cmd_open(const struct cmd_call *call, const char *reference, struct vn_pull **ret, struct vn_err *err)
{
	const struct cmd_common *common = call->options;
	struct vn_pull_options options = {
		.size = sizeof(options),
		.config = common->config,
		.reference = reference,
		.engine = common->engine ? cmd_engines[common->engine - 1] : NULL,
		.endpoint = common->endpoint,
		.state = common->state,
		.platform = common->platform,
		.authfile = common->authfile,
		.cacert = common->cacert,
		.plain_http = common->plain_http,
		.insecure = common->insecure,
		.events = { tell, call->meter },
	};

	return vn_pull_open(&options, ret, err);
}

void cmd_close(struct vn_pull **pull)
{
	if (*pull)
		vn_pull_close(*pull);
}

static bool calendar(int64_t seconds, struct tm *ret)
{
	time_t time = (time_t)seconds;

	return gmtime_r(&time, ret) && ret->tm_year >= 0 && ret->tm_year < 8100;
}

const char *cmd_time_text(int64_t time, char out[CMD_TIME_TEXT])
{
	struct tm tm;

	snprintf(out, CMD_TIME_TEXT, "an unknown time");
	if (!calendar(time, &tm))
		return out;
	snprintf(out, CMD_TIME_TEXT, "%04d-%02d-%02d %02d:%02d UTC", (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday,
		 tm.tm_hour, tm.tm_min);
	return out;
}

const char *cmd_time_rfc3339(int64_t time, char out[CMD_TIME_TEXT])
{
	struct tm tm;

	snprintf(out, CMD_TIME_TEXT, "-");
	if (!calendar(time, &tm))
		return out;
	snprintf(out, CMD_TIME_TEXT, "%04d-%02d-%02dT%02d:%02d:%02dZ", (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday,
		 tm.tm_hour, tm.tm_min, tm.tm_sec);
	return out;
}

void cmd_add_release(struct text *text, const char *label, const char *digest)
{
	const char *colon = strchr(digest, ':');
	size_t len = colon ? (size_t)(colon - digest) + 1 + 12 : 12;

	if (*label)
		text_add(text, label);
	else
		text_add_bytes(text, digest, strnlen(digest, len));
}

/* ---- reports */

bool cmd_adds_why(const struct vn_pull_report *report)
{
	const char *why = report->why;

	return why && *why && !(report->sentence && strstr(report->sentence, why));
}

static void put_findings(struct out *out, const struct vn_pull_report *report)
{
	static const struct out_column columns[] = { { NULL, false, 20, 0 }, { NULL, true, 0, 0 }, { NULL, false, 0, 0 } };
	OUT_CLEANUP(out_table_release) struct out_table table = { .columns = columns, .ncolumns = 3 };
	char size[VN_SIZE_TEXT];

	for (size_t i = 0; i < report->nfindings; i++) {
		const struct vn_pull_finding *finding = &report->findings[i];

		out_cell(&table, OUT_PLAIN, finding->what);
		out_cell(&table, OUT_PLAIN, finding->bytes ? vn_size_text(finding->bytes, size) : "");
		out_cell(&table, *finding->problem ? OUT_BAD : OUT_GOOD, finding->problem);
	}
	out_table_print(&table, out);
}

static void put_text(const struct cmd_call *call, const struct vn_pull_report *report)
{
	char sent[VN_SIZE_TEXT], received[VN_SIZE_TEXT];

	if (call->common->quiet) {
		if (report->digest && *report->digest)
			cmd_put_line(call->out, report->digest);
		return;
	}
	if (report->sentence && *report->sentence)
		out_paragraph(call->out, OUT_BOLD, 0, report->sentence);
	if (cmd_adds_why(report))
		out_paragraph(call->out, OUT_PLAIN, 1, report->why);
	put_findings(call->out, report);
	if (report->sent || report->received)
		out_printf(call->out, " network: %s sent, %s received\n", vn_size_text(report->sent, sent),
			   vn_size_text(report->received, received));
}

int cmd_put_report(const struct cmd_call *call, const struct vn_pull *pull, struct vn_err *err)
{
	const struct vn_pull_report *report = vn_pull_get_report(pull);
	CMD_AUTO_FREE char *json = NULL;

	meter_clear(call->meter);
	if (!report)
		return 0;
	if (call->json && vn_pull_report_json(pull, &json, err) < 0)
		return -(int)err->code;
	if (call->json)
		cmd_put_json(call->out, json);
	else
		put_text(call, report);
	return report->outcome == VN_PULL_WAITS || report->outcome == VN_PULL_REFUSED_BEFORE;
}
