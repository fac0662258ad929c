#include "cli/meter.h"
#include "util/test.h"
#include <stdlib.h>

/* What is written to an out of `width` columns. */
struct sink {
	struct out out;
	char *text;
	size_t len;
};

static void open_sink(struct sink *sink, unsigned width)
{
	memset(sink, 0, sizeof(*sink));
	sink->out.file = open_memstream(&sink->text, &sink->len);
	sink->out.width = width;
}

static void close_sink(struct sink *sink)
{
	if (sink->out.file)
		fclose(sink->out.file);
	free(sink->text);
}

static const char *said(struct sink *sink)
{
	fflush(sink->out.file);
	return sink->text;
}

static const struct out_column columns[] = { { "n", true, 0, 0 }, { "name", false, 6, 20 }, { "why", false, 0, 0 } };

static void fill(struct out_table *table)
{
	out_cell(table, OUT_PLAIN, "1");
	out_cell(table, OUT_PLAIN, "short");
	out_cell(table, OUT_PLAIN, "");
	out_cellf(table, OUT_PLAIN, "%d", 100);
	out_cell(table, OUT_PLAIN, "a name that is far too long");
	out_cell(table, OUT_PLAIN, "one two three four five six seven eight nine");
}

static void test_table_of_a_pipe(void)
{
	OUT_CLEANUP(close_sink) struct sink sink;
	OUT_CLEANUP(out_table_release) struct out_table table = { .columns = columns, .ncolumns = 3 };

	open_sink(&sink, 0);
	fill(&table);
	out_table_print(&table, &sink.out);
	CHECK_STR(said(&sink), "   n  name                  why\n"
			       "   1  short\n"
			       " 100  a name that is far…   one two three four five six seven eight nine\n");
}

static void test_table_of_40_columns(void)
{
	OUT_CLEANUP(close_sink) struct sink sink;
	OUT_CLEANUP(out_table_release) struct out_table table = { .columns = columns, .ncolumns = 3 };

	open_sink(&sink, 40);
	fill(&table);
	out_table_print(&table, &sink.out);
	CHECK_STR(said(&sink), "   n  name    why\n"
			       "   1  short\n"
			       " 100  a nam…  one two three four five\n"
			       "              six seven eight nine\n");
}

static void test_table_wide_and_hostile(void)
{
	static const struct out_column two[] = { { NULL, false, 4, 0 }, { NULL, false, 0, 0 } };
	OUT_CLEANUP(close_sink) struct sink sink;
	OUT_CLEANUP(out_table_release) struct out_table table = { .columns = two, .ncolumns = 2 };

	open_sink(&sink, 40);
	out_cell(&table, OUT_PLAIN, "你好世界");
	out_cell(&table, OUT_PLAIN, "an-unbreakable-word-that-is-longer-than-the-line");
	out_cell(&table, OUT_PLAIN, "\033[2J");
	out_cell(&table, OUT_PLAIN, "x");
	out_table_print(&table, &sink.out);
	CHECK_STR(said(&sink), " 你好世…  an-unbreakable-word-that-is-longer-than-the-line\n"
			       " \\x1b[2J  x\n");
}

static void test_table_empty(void)
{
	OUT_CLEANUP(close_sink) struct sink sink;
	OUT_CLEANUP(out_table_release) struct out_table table = { .columns = columns, .ncolumns = 3 };

	open_sink(&sink, 80);
	out_table_print(&table, &sink.out);
	CHECK_STR(said(&sink), " n  name  why\n");
}

static void test_paragraph(void)
{
	OUT_CLEANUP(close_sink) struct sink sink;

	open_sink(&sink, 40);
	out_paragraph(&sink.out, OUT_BOLD, 2, "words that go on and on beyond the end of the line");
	out_paragraph(&sink.out, OUT_PLAIN, 0, "");
	CHECK_STR(said(&sink), "  words that go on and on beyond the end\n  of the line\n\n");
}

static void test_padded(void)
{
	OUT_CLEANUP(close_sink) struct sink sink;

	open_sink(&sink, 0);
	out_padded(&sink.out, "ab", 4, false);
	out_padded(&sink.out, "你", 4, true);
	out_padded(&sink.out, "long", 2, true);
	CHECK_STR(said(&sink), "ab    你long");
}

static void test_closed_file(void)
{
	OUT_CLEANUP(close_sink) struct sink sink = { 0 };
	struct vn_err err = { 0 };

	sink.out.file = fopen("/dev/full", "w");
	CHECK(sink.out.file);
	out_put(&sink.out, "x");
	CHECK_EQ(out_finish(&sink.out, &err), -VN_EIO);
	CHECK_HAS(err.text, "not written");
}

static void check_time(double seconds, const char *expected)
{
	OUT_CLEANUP(text_release) struct text text = { 0 };

	meter_time(&text, seconds);
	CHECK_STR(text_get(&text), expected);
}

static void test_time(void)
{
	check_time(0, "1 s");
	check_time(45.4, "45 s");
	check_time(200, "3:20");
	check_time(3723, "1:02:03");
}

static void progress(struct meter *meter, const char *what, uint64_t done, uint64_t total)
{
	meter_tell(meter, &(struct vn_event){ VN_EVENT_PROGRESS, what, done, total });
}

static void test_meter_line(void)
{
	OUT_CLEANUP(text_release) struct text line = { 0 };
	OUT_CLEANUP(close_sink) struct sink sink;
	struct meter meter;

	open_sink(&sink, 80);
	meter_open(&meter, sink.out.file, "veneer", false, false);
	progress(&meter, "layer 1", 50, 100);
	meter_line(&meter, &line, 79);
	CHECK_STR(text_get(&line), "layer 1  50 B of 100 B  50 %");
	progress(&meter, "layer 2", 1, 0);
	text_clear(&line);
	meter_line(&meter, &line, 79);
	CHECK_STR(text_get(&line), "layer 2 (+1)  51 B");
	meter_tell(&meter, &(struct vn_event){ VN_EVENT_DONE, "layer 2", 100, 0 });
	text_clear(&line);
	meter.rate = 10;
	meter_line(&meter, &line, 79);
	CHECK_STR(text_get(&line), "layer 1  150 B of 200 B  75 %  10 B/s  5 s left");
	for (unsigned width = 1; width < 60; width++) {
		text_clear(&line);
		meter_line(&meter, &line, width);
		CHECK(width < 10 || text_width(text_get(&line)) <= width);
	}
	CHECK_STR(said(&sink), "");
}

static void test_meter_many_streams(void)
{
	OUT_CLEANUP(close_sink) struct sink sink;
	struct meter meter;
	char what[300];

	open_sink(&sink, 80);
	meter_open(&meter, sink.out.file, "veneer", false, false);
	for (int i = 0; i < METER_STREAMS + 5; i++) {
		memset(what, 'a' + i % 26, sizeof(what) - 1);
		what[sizeof(what) - 1] = '\0';
		progress(&meter, what, UINT64_MAX, 1);
		progress(&meter, what, 0, UINT64_MAX);
	}
	progress(&meter, "", 1, 1);
	CHECK_STR(said(&sink), "");
}

static void test_meter_levels(void)
{
	OUT_CLEANUP(close_sink) struct sink sink;
	struct meter meter;

	open_sink(&sink, 80);
	meter_open(&meter, sink.out.file, "veneer", false, false);
	meter_tell(&meter, &(struct vn_event){ VN_EVENT_DEBUG, "hidden", 0, 0 });
	meter_tell(&meter, &(struct vn_event){ VN_EVENT_WARNING, "careful\033", 0, 0 });
	CHECK_STR(said(&sink), "veneer: warning: careful\\x1b\n");
	meter.quiet = true;
	meter_tell(&meter, &(struct vn_event){ VN_EVENT_WARNING, "hidden", 0, 0 });
	CHECK_STR(said(&sink), "veneer: warning: careful\\x1b\n");
	meter.quiet = false;
	meter.verbose = true;
	meter_tell(&meter, &(struct vn_event){ VN_EVENT_DEBUG, "shown", 0, 0 });
	CHECK_HAS(said(&sink), "] shown\n");
}

int main(void)
{
	RUN(test_table_of_a_pipe);
	RUN(test_table_of_40_columns);
	RUN(test_table_wide_and_hostile);
	RUN(test_table_empty);
	RUN(test_paragraph);
	RUN(test_padded);
	RUN(test_closed_file);
	RUN(test_time);
	RUN(test_meter_line);
	RUN(test_meter_many_streams);
	RUN(test_meter_levels);
	return vn_test_end();
}
