/* The door to sqlite: rpmdb.sqlite, table Packages (hnum, blob). The file is a stranger's, so it is opened as a copy in memory,
 * read-only, without views, triggers, virtual tables or functions of its schema, and with a budget of steps and of bytes. */
#include "deps/parse.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <sqlite3.h>
#include <string.h>

#define STEPS_PER_CALL 1000

static int out_of_steps(void *left)
{
	return --*(int *)left < 0;
}

static void close_db(sqlite3 **db)
{
	sqlite3_close(*db);
}

static void end_query(sqlite3_stmt **query)
{
	sqlite3_finalize(*query);
}

static int sql_fail(const struct vn_deps *in, sqlite3 *db, int rc, struct vn_err *err)
{
	if (rc == SQLITE_NOMEM)
		return vn_nomem(err);
	if (rc == SQLITE_INTERRUPT)
		return vn_fail(err, VN_ELIMIT, "%.300s: the sqlite database takes more than %d steps to read", in->path,
			       VN_MAX_SQLITE_STEPS);
	return vn_fail(err, VN_EFORMAT, "%.300s: sqlite: %.200s", in->path, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}

static void restrain(sqlite3 *db, int *steps)
{
	static const int off[] = { SQLITE_DBCONFIG_ENABLE_TRIGGER, SQLITE_DBCONFIG_ENABLE_VIEW,
				   SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION,
				   SQLITE_DBCONFIG_DQS_DDL,	   SQLITE_DBCONFIG_DQS_DML };
	static const struct {
		int id, value;
	} limits[] = {
		{ SQLITE_LIMIT_LENGTH, VN_MAX_RPM_HEADER },
		{ SQLITE_LIMIT_SQL_LENGTH, 100000 },
		{ SQLITE_LIMIT_COLUMN, 100 },
		{ SQLITE_LIMIT_EXPR_DEPTH, 20 },
		{ SQLITE_LIMIT_COMPOUND_SELECT, 3 },
		{ SQLITE_LIMIT_VDBE_OP, 25000 },
		{ SQLITE_LIMIT_FUNCTION_ARG, 8 },
		{ SQLITE_LIMIT_ATTACHED, 0 },
		{ SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50 },
		{ SQLITE_LIMIT_VARIABLE_NUMBER, 10 },
		{ SQLITE_LIMIT_TRIGGER_DEPTH, 1 },
		{ SQLITE_LIMIT_WORKER_THREADS, 0 },
	};
	for (size_t i = 0; i < sizeof(off) / sizeof(*off); i++)
		sqlite3_db_config(db, off[i], 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		sqlite3_limit(db, limits[i].id, limits[i].value);
	sqlite3_progress_handler(db, STEPS_PER_CALL, out_of_steps, steps);
}

/* rpm writes with a write-ahead log, which a database in memory cannot have: bytes 18 and 19 of the file say which journal
 * (sqlite file format, 1.3.3), and 1 is the other one. */
static int open_copy(const struct vn_deps *in, int *steps, sqlite3 **ret, struct vn_err *err)
{
	VN_CLEANUP(close_db) sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		return sql_fail(in, db, rc, err);
	restrain(db, steps);
	unsigned char *copy = sqlite3_malloc64(in->len);
	if (!copy)
		return vn_nomem(err);
	memcpy(copy, in->bytes, in->len);
	if (copy[18] == 2 && copy[19] == 2)
		copy[18] = copy[19] = 1;
	rc = sqlite3_deserialize(db, "main", copy, (sqlite3_int64)in->len, (sqlite3_int64)in->len,
				 SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
	if (rc != SQLITE_OK)
		return sql_fail(in, db, rc, err);
	*ret = vn_steal(db);
	return 0;
}

/* Is Packages an ordinary table? Views and virtual tables have no root page. */
static int want_table(const struct vn_deps *in, sqlite3 *db, struct vn_err *err)
{
	VN_CLEANUP(end_query) sqlite3_stmt *query = NULL;
	int rc = sqlite3_prepare_v2(db,
				    "SELECT 1 FROM sqlite_master WHERE name = 'Packages' AND type = 'table' AND rootpage > 1",
				    -1, &query, NULL);
	if (rc != SQLITE_OK)
		return sql_fail(in, db, rc, err);
	rc = sqlite3_step(query);
	if (rc == SQLITE_DONE)
		return vn_fail(err, VN_EFORMAT, "%.300s: no table Packages, expected the database of rpm", in->path);
	return rc == SQLITE_ROW ? 0 : sql_fail(in, db, rc, err);
}

int vn_deps_rpm_sqlite(struct vn_deps *in, struct vn_err *err)
{
	static const char magic[16] = "SQLite format 3";
	int steps = VN_MAX_SQLITE_STEPS / STEPS_PER_CALL;
	if (in->len == 0)
		return 0;
	if (in->len < 100 || memcmp(in->bytes, magic, sizeof(magic)) != 0)
		return vn_deps_fail(in, 0, err, "not a sqlite database");
	VN_CLEANUP(close_db) sqlite3 *db = NULL;
	if (open_copy(in, &steps, &db, err) < 0 || want_table(in, db, err) < 0)
		return -err->code;
	VN_CLEANUP(end_query) sqlite3_stmt *query = NULL;
	int rc = sqlite3_prepare_v2(db, "SELECT blob FROM Packages", -1, &query, NULL);
	if (rc != SQLITE_OK)
		return sql_fail(in, db, rc, err);
	size_t total = 0;
	while ((rc = sqlite3_step(query)) == SQLITE_ROW) {
		const void *blob = sqlite3_column_blob(query, 0);
		int len = sqlite3_column_bytes(query, 0);
		if (!blob || len <= 0 || sqlite3_column_type(query, 0) != SQLITE_BLOB)
			return vn_fail(err, VN_EFORMAT, "%.300s: row %zu of Packages has no header", in->path, in->count);
		total += (size_t)len;
		if (total > in->len)
			return vn_fail(err, VN_EFORMAT, "%.300s: the rows of Packages together are larger than the file",
				       in->path);
		int told = vn_deps_rpm_header(in, in->count, blob, (size_t)len, err);
		if (told)
			return told;
	}
	return rc == SQLITE_DONE ? 0 : sql_fail(in, db, rc, err);
}
