/* Deltas as people read them. */
#include "delta.h"
#include <string.h>

#define ADVICE "NEW does not resemble OLD, as if it had been trained on its own. Training that starts from the deployed " \
	       "weights (a warm start) makes an update smaller than any codec can."

static void size_fact(struct out_table *facts, const char *label, const char *name, const char *digest, uint64_t size)
{
	char text[VN_SIZE_TEXT] = "";

	if (!*name && !*digest && !size)
		return;
	if (size || !*digest)
		vn_size_text(size, text);
	show_fact(facts, label, OUT_PLAIN, "%s%s%s%s%s", text, *text && *name ? "  " : "", name, *text || *name ? "  " : "", digest);
}

static void delta_fact(struct out_table *facts, const struct vn_delta_item *item)
{
	char text[VN_SIZE_TEXT];

	if (!item->written)
		show_fact(facts, "delta", OUT_NOTE, "%s, not written%s%s", vn_size_text(item->size, text), *item->reason ? ": " : "",
			  item->reason);
	else
		show_fact(facts, "delta", OUT_GOOD, "%s  %s%s%s%s", vn_size_text(item->size, text), item->reference,
			  *item->digest && !strstr(item->reference, item->digest) ? "  " : "",
			  strstr(item->reference, item->digest) ? "" : item->digest, item->inline_data ? "  (one request)" : "");
}

/* One line for each method, the label on the first. */
static void method_facts(struct out_table *facts, const struct vn_delta_item *item)
{
	char plain[VN_SIZE_TEXT], packed[VN_SIZE_TEXT];

	for (size_t i = 0; i < item->nmethods; i++) {
		const struct vn_delta_method *m = &item->methods[i];
		OUT_CLEANUP(text_release) struct text count = { 0 };

		show_count(&count, m->regions, "region");
		facts->failed |= count.failed;
		show_fact(facts, i ? "" : "methods", OUT_PLAIN, "%s: %s from %s in %s", m->name, vn_size_text(m->plain, plain),
			  vn_size_text(m->packed, packed), text_get(&count));
	}
}

static void layer_facts(struct out_table *facts, const struct vn_delta_item *item)
{
	const char *label = "layers";
	char size[VN_SIZE_TEXT];
	size_t reused = 0;

	for (size_t i = 0; i < item->nlayers; i++) {
		const struct vn_delta_layer *layer = &item->layers[i];

		reused += !strcmp(layer->how, "reused");
		if (!strcmp(layer->how, "reused"))
			continue;
		show_fact(facts, label, OUT_PLAIN, "%zu: %s%s%s%s%s", i + 1, layer->size ? vn_size_text(layer->size, size) : "",
			  layer->size ? " " : "", layer->how, *layer->sources ? " from " : "", layer->sources);
		label = "";
	}
	if (reused)
		show_fact(facts, label, OUT_DIM, "%zu reused", reused);
}

static void item_facts(struct out_table *facts, const struct vn_delta_item *item)
{
	char size[VN_SIZE_TEXT];

	size_fact(facts, "old", item->old_name, item->old_digest, item->image ? 0 : item->old_size);
	size_fact(facts, "new", item->new_name, item->new_digest, item->image ? 0 : item->new_size);
	if (*item->platform)
		show_fact(facts, "platform", OUT_PLAIN, "%s", item->platform);
	delta_fact(facts, item);
	layer_facts(facts, item);
	if (*item->relation)
		show_fact(facts, "relation", strcmp(item->relation, "unrelated") ? OUT_PLAIN : OUT_NOTE, "%s", item->relation);
	method_facts(facts, item);
	if (item->memory)
		show_fact(facts, "memory", OUT_PLAIN, "%s to apply it", vn_size_text(item->memory, size));
}

static const struct out_column region_columns[] = {
	{ "at", true, 0, 0 }, { "length", true, 0, 0 }, { "delta", true, 0, 0 }, { "method", false, 0, 0 }, { "facts", false, 0, 0 },
	{ "begins in", false, 0, 0 },
};

static void show_regions(struct out *out, const struct vn_delta_item *item)
{
	OUT_CLEANUP(out_table_release) struct out_table table = { .columns = region_columns, .ncolumns = 5u + item->image };
	char count[VN_COUNT_TEXT];

	for (size_t i = 0; i < item->nregions; i++) {
		const struct vn_delta_region *region = &item->regions[i];

		out_cell(&table, OUT_DIM, vn_count_text(region->at, count));
		out_cell(&table, OUT_PLAIN, vn_count_text(region->length, count));
		out_cell(&table, OUT_PLAIN, vn_count_text(region->packed, count));
		out_cell(&table, OUT_PLAIN, region->method);
		out_cell(&table, OUT_DIM, region->facts);
		if (item->image)
			out_cell(&table, OUT_PLAIN, region->file);
	}
	if (item->nregions)
		out_put(out, "\n");
	out_table_print(&table, out);
}

/* Does it tell of deltas in a registry, one line each? */
static bool is_list(const struct vn_delta_result *result)
{
	return !strcmp(result->verb, "push") || (!strcmp(result->verb, "show") && *result->target);
}

static const struct out_column push_columns[] = {
	{ "from", false, 20, 0 }, { "platform", false, 0, 0 }, { "delta", true, 0, 0 }, { "instead of", true, 0, 0 },
	{ "where", false, 0, 0 },
};
static const struct out_column show_columns[] = {
	{ "from", false, 20, 0 }, { "platform", false, 0, 0 }, { "delta", true, 0, 0 }, { "where", false, 0, 0 },
};

static void show_list(struct out *out, const struct vn_delta_result *result)
{
	bool push = !strcmp(result->verb, "push");
	OUT_CLEANUP(out_table_release) struct out_table table = { .columns = push ? push_columns : show_columns,
								  .ncolumns = 4u + push };
	char size[VN_SIZE_TEXT];

	for (size_t i = 0; i < result->nitems; i++) {
		const struct vn_delta_item *item = &result->items[i];

		out_cell(&table, OUT_PLAIN, *item->old_name ? item->old_name : item->old_digest);
		out_cell(&table, OUT_DIM, item->platform);
		out_cell(&table, OUT_PLAIN, item->size ? vn_size_text(item->size, size) : "");
		if (push)
			out_cell(&table, OUT_PLAIN, item->full ? vn_size_text(item->full, size) : "");
		out_cellf(&table, item->written ? OUT_GOOD : OUT_NOTE, "%s%s", item->written ? item->reference : "not published: ",
			  item->written ? "" : item->reason);
	}
	if (result->nitems)
		out_table_print(&table, out);
}

static void show_items(struct out *out, const struct vn_delta_result *result, bool all)
{
	for (size_t i = 0; i < result->nitems; i++) {
		const struct vn_delta_item *item = &result->items[i];
		OUT_CLEANUP(out_table_release) struct out_table facts = SHOW_FACTS;

		if (i)
			out_put(out, "\n");
		item_facts(&facts, item);
		out_table_print(&facts, out);
		if (all)
			show_regions(out, item);
	}
}

void delta_show(struct out *out, const struct vn_delta_result *result, bool all)
{
	bool unrelated = false;

	if (is_list(result))
		show_list(out, result);
	else
		show_items(out, result, all);
	for (size_t i = 0; i < result->nitems; i++)
		unrelated |= !strcmp(result->items[i].relation, "unrelated");
	if (*result->sentence) {
		out_put(out, result->nitems ? "\n" : "");
		out_paragraph(out, OUT_BOLD, 0, result->sentence);
	}
	if (unrelated) {
		out_put(out, "\n");
		out_paragraph(out, OUT_NOTE, 0, ADVICE);
	}
}
