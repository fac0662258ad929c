#include "deps/packages.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "util/num.h"
#include "util/test.h"
#include <sqlite3.h>

static void test_paths(void)
{
	static const struct {
		const char *path;
		enum vn_package_db db;
	} cases[] = {
		{ "var/lib/dpkg/status", VN_DB_DPKG },
		{ "var/lib/dpkg/status-old", VN_DB_NONE },
		{ "var/lib/dpkg/status.d/base", VN_DB_DPKG },
		{ "var/lib/dpkg/status.d/base.md5sums", VN_DB_NONE },
		{ "var/lib/dpkg/status.d/a/b", VN_DB_NONE },
		{ "x/var/lib/dpkg/status", VN_DB_NONE },
		{ "lib/apk/db/installed", VN_DB_APK },
		{ "usr/lib/apk/db/installed", VN_DB_APK },
		{ "var/lib/rpm/rpmdb.sqlite", VN_DB_RPM_SQLITE },
		{ "var/lib/rpm/Packages.db", VN_DB_RPM_NDB },
		{ "var/lib/rpm/Packages", VN_DB_RPM_BDB },
		{ "usr/lib/sysimage/rpm/rpmdb.sqlite", VN_DB_RPM_SQLITE },
		{ "usr/lib/sysimage/rpm/Packages.db", VN_DB_RPM_NDB },
		{ "var/lib/rpm/Name", VN_DB_NONE },
		{ "opt/conda/conda-meta/numpy-1.26.0-py311_0.json", VN_DB_CONDA },
		{ "conda-meta/x.json", VN_DB_CONDA },
		{ "opt/xconda-meta/x.json", VN_DB_NONE },
		{ "opt/conda/conda-meta/history", VN_DB_NONE },
		{ "opt/conda/conda-meta/.json", VN_DB_NONE },
		{ "usr/lib/python3/dist-packages/numpy-1.26.dist-info/METADATA", VN_DB_PYTHON },
		{ "usr/lib/python3/dist-packages/numpy-1.26.dist-info/RECORD", VN_DB_NONE },
		{ "a/six.egg-info/PKG-INFO", VN_DB_PYTHON },
		{ "a/six.egg-info", VN_DB_PYTHON },
		{ "a/PKG-INFO", VN_DB_NONE },
		{ "METADATA", VN_DB_NONE },
		{ "", VN_DB_NONE },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		CHECK_EQ(vn_package_db_of(cases[i].path), cases[i].db);
	CHECK_STR(vn_package_manager(VN_DB_RPM_NDB), "rpm");
	CHECK_STR(vn_package_manager(VN_DB_NONE), "");
}

/* "name version arch\n" of every package */
static int list(void *user, const struct vn_package *p, struct vn_err *err)
{
	return vn_buf_addf(user, err, "%s %s %s\n", p->name, p->version, p->arch);
}

static const char *const paths[] = {
	[VN_DB_DPKG] = "var/lib/dpkg/status",
	[VN_DB_APK] = "lib/apk/db/installed",
	[VN_DB_RPM_SQLITE] = "var/lib/rpm/rpmdb.sqlite",
	[VN_DB_RPM_NDB] = "var/lib/rpm/Packages.db",
	[VN_DB_RPM_BDB] = "var/lib/rpm/Packages",
	[VN_DB_CONDA] = "opt/conda-meta/x.json",
	[VN_DB_PYTHON] = "x.dist-info/METADATA",
};

static void test_text(void)
{
	static const struct {
		enum vn_package_db db;
		const char *path, *text, *packages;
	} cases[] = {
		{ VN_DB_DPKG, NULL, "", "" },
		{ VN_DB_DPKG, NULL,
		  "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\nArchitecture: amd64\nDescription: x\n "
		  "Package: no\n .\n\n"
		  "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\n"
		  "Package: half\nStatus: install ok half-installed\nVersion: 1\n\n"
		  "Package: none\nStatus: install ok not-installed\n\n"
		  "Package: held\nStatus: hold ok installed\nVersion: 1:2~rc1+b\nArchitecture: all\n\n"
		  "package: waits\nstatus: install ok triggers-awaited\nversion:\t3",
		  "libc6 2.36-9 amd64\nheld 1:2~rc1+b all\nwaits 3 \n" },
		{ VN_DB_DPKG, "var/lib/dpkg/status.d/tzdata", "Package: tzdata\r\nVersion: 2024a\r\nArchitecture: all\r\n",
		  "tzdata 2024a all\n" },
		{ VN_DB_DPKG, NULL, "Package: nostatus\nVersion: 1\n", "" },
		{ VN_DB_APK, NULL, "", "" },
		{ VN_DB_APK, NULL, "C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:aarch64\nF:lib\nR:x\n\nP:zlib\nV:1.3-r0\n\n",
		  "musl 1.2.4-r2 aarch64\nzlib 1.3-r0 \n" },
		{ VN_DB_PYTHON, NULL,
		  "Metadata-Version: 2.1\nName: numpy\nVersion: 1.26.4\nSummary: a\n  Name: folded\nodd line\n\nName: "
		  "body\nVersion: 9\n",
		  "numpy 1.26.4 \n" },
		{ VN_DB_PYTHON, "a/six.egg-info", "Name: six\r\nVersion: 1.16.0\r\n", "six 1.16.0 \n" },
		{ VN_DB_CONDA, NULL,
		  "{\"name\":\"numpy\",\"version\":\"1.26.4\",\"build\":\"py311_0\",\"subdir\":\"linux-64\",\"files\":[]}",
		  "numpy 1.26.4-py311_0 linux-64\n" },
		{ VN_DB_CONDA, NULL, "{\"name\":\"numpy\",\"version\":\"1.26.4\"}", "numpy 1.26.4 \n" },
		{ VN_DB_RPM_SQLITE, NULL, "", "" },
		{ VN_DB_RPM_BDB, NULL, "", "" },
		{ VN_DB_RPM_NDB, NULL, "", "" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		struct vn_buf found = VN_BUF(4096);
		CHECK_OK(vn_packages_parse(cases[i].db, cases[i].path ? cases[i].path : paths[cases[i].db], cases[i].text,
					   strlen(cases[i].text), list, &found, &err),
			 &err);
		CHECK_STR(vn_buf_text(&found), cases[i].packages);
		vn_buf_release(&found);
	}
}

static void test_text_refused(void)
{
	static const struct {
		enum vn_package_db db;
		const char *text;
		size_t len;
		const char *says;
	} cases[] = {
		{ VN_DB_DPKG, "Package: a\nnonsense\n", 0, "var/lib/dpkg/status: byte 11: a line without ':'" },
		{ VN_DB_DPKG, "\nPackage: a\nStatus: install ok installed\n", 0, "byte 1: the package's version is missing" },
		{ VN_DB_DPKG, "Status: install ok installed\nVersion: 1\n", 0, "the package's name is missing" },
		{ VN_DB_DPKG, "Package: a\x1b[31m\nStatus: install ok installed\nVersion: 1\n", 0, "control character" },
		{ VN_DB_DPKG, "Package: a\0b\nStatus: install ok installed\nVersion: 1\n", 53, "NUL" },
		{ VN_DB_APK, "P:a\nV:1\nxx\n", 0, "byte 8: a line that does not begin" },
		{ VN_DB_APK, "P:a\n\n", 0, "byte 0: the package's version is missing" },
		{ VN_DB_PYTHON, "", 0, "the package's name is missing" },
		{ VN_DB_PYTHON, "\nName: a\nVersion: 1\n", 0, "the package's name is missing" },
		{ VN_DB_CONDA, "{\"name\":\"a\"}", 0, "opt/conda-meta/x.json: /version is missing" },
		{ VN_DB_CONDA, "[]", 0, "is an array, expected an object" },
		{ VN_DB_CONDA, "{\"name\":\"a\\u0007\",\"version\":\"1\"}", 0, "control character" },
		{ VN_DB_RPM_SQLITE, "SQLite format 3", 0, "not a sqlite database" },
		{ VN_DB_RPM_NDB, "RpmP", 0, "not an ndb" },
		{ VN_DB_RPM_BDB, "x", 0, "Berkeley DB file of 1 bytes" },
		{ VN_DB_NONE, "x", 0, "not a package database" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		struct vn_buf found = VN_BUF(4096);
		const char *path = cases[i].db == VN_DB_NONE ? "etc/passwd" : paths[cases[i].db];
		CHECK(vn_packages_parse(cases[i].db, path, cases[i].text, cases[i].len ? cases[i].len : strlen(cases[i].text),
					list, &found, &err) < 0);
		CHECK_HAS(err.text, cases[i].says);
		vn_buf_release(&found);
	}
}

static int stop(void *user, const struct vn_package *p, struct vn_err *err)
{
	(void)p, (void)err;
	return ++*(int *)user == 2 ? 7 : 0;
}

static void test_stop(void)
{
	static const char text[] = "P:a\nV:1\n\nP:b\nV:1\n\nP:c\nV:1\n";
	struct vn_err err = { 0 };
	int seen = 0;
	CHECK_EQ(vn_packages_parse(VN_DB_APK, "lib/apk/db/installed", text, sizeof(text) - 1, stop, &seen, &err), 7);
	CHECK_EQ(seen, 2);
}

static int load(const char *name, struct vn_buf *ret)
{
	struct vn_err err = { 0 };
	VN_AUTO_FREE char *path = NULL;
	CHECK_OK(vn_asprintf(&path, &err, "testdata/deps/%s", name), &err);
	CHECK_OK(vn_fs_read(path, ret, &err), &err);
	return ret->len > 0 ? 0 : -1;
}

static const struct {
	const char *file;
	enum vn_package_db db;
} rpms[] = {
	{ "rpmdb.sqlite", VN_DB_RPM_SQLITE },
	{ "Packages.db", VN_DB_RPM_NDB },
	{ "Packages", VN_DB_RPM_BDB },
	{ "Packages.big-endian", VN_DB_RPM_BDB },
};

static void test_rpm(void)
{
	for (size_t i = 0; i < sizeof(rpms) / sizeof(*rpms); i++) {
		struct vn_err err = { 0 };
		struct vn_buf bytes = VN_BUF(1u << 20), found = VN_BUF(4096);
		load(rpms[i].file, &bytes);
		CHECK_OK(vn_packages_parse(rpms[i].db, paths[rpms[i].db], bytes.data, bytes.len, list, &found, &err), &err);
		CHECK_HAS(vn_buf_text(&found), "veneer-alpha 1.0-3.test noarch\n");
		CHECK_HAS(vn_buf_text(&found), "veneer-beta 2:1.5-3.test x86_64\n");
		CHECK_EQ(found.len, strlen("veneer-alpha 1.0-3.test noarch\nveneer-beta 2:1.5-3.test x86_64\n"));
		vn_buf_release(&bytes);
		vn_buf_release(&found);
	}
}

static int count(void *user, const struct vn_package *p, struct vn_err *err)
{
	(void)p, (void)err;
	++*(int *)user;
	return 0;
}

/* Cut anywhere or with any byte turned over: an answer or an error, and never more packages than there are. */
static void test_rpm_damaged(void)
{
	for (size_t i = 0; i < sizeof(rpms) / sizeof(*rpms); i++) {
		struct vn_buf bytes = VN_BUF(1u << 20);
		load(rpms[i].file, &bytes);
		for (size_t at = 0; at < bytes.len; at += at < 4200 ? 13 : 997) {
			struct vn_err err = { 0 };
			int n = 0;
			vn_packages_parse(rpms[i].db, paths[rpms[i].db], bytes.data, at, count, &n, &err);
			bytes.data[at] ^= (char)0xff;
			vn_packages_parse(rpms[i].db, paths[rpms[i].db], bytes.data, bytes.len, count, &n, &err);
			bytes.data[at] ^= (char)0xff;
			CHECK(n <= 6);
		}
		vn_buf_release(&bytes);
	}
}

/* A database made by these statements, as the bytes of a file. */
static void make_sqlite(const char *sql, struct vn_buf *ret)
{
	struct vn_err err = { 0 };
	sqlite3 *db = NULL;
	sqlite3_int64 len = 0;
	CHECK_EQ(sqlite3_open(":memory:", &db), SQLITE_OK);
	CHECK_EQ(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	unsigned char *bytes = sqlite3_serialize(db, "main", &len, 0);
	if (bytes)
		CHECK_OK(vn_buf_add(ret, bytes, (size_t)len, &err), &err);
	sqlite3_free(bytes);
	sqlite3_close(db);
}

static void test_sqlite_hostile(void)
{
	static const struct {
		const char *sql, *says;
	} cases[] = {
		{ "CREATE TABLE other(x)", "no table Packages" },
		{ "CREATE VIEW Packages AS WITH RECURSIVE c(blob) AS (SELECT x'00' UNION ALL SELECT blob FROM c) SELECT blob "
		  "FROM c",
		  "no table Packages" },
		{ "CREATE VIRTUAL TABLE Packages USING fts4(blob)", "no table Packages" },
		{ "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY)", "no such column: blob" },
		{ "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY, blob); INSERT INTO Packages VALUES (1, 'text')",
		  "has no header" },
		{ "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY, blob); INSERT INTO Packages VALUES (1, NULL)",
		  "has no header" },
		{ "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY, blob); INSERT INTO Packages VALUES (1, x'00000001')",
		  "rpm header of 4 bytes" },
		{ "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY, blob AS (zeroblob(1000000)));"
		  "INSERT INTO Packages VALUES (1)",
		  "larger than the file" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		struct vn_buf bytes = VN_BUF(1u << 20);
		int n = 0;
		make_sqlite(cases[i].sql, &bytes);
		CHECK(vn_packages_parse(VN_DB_RPM_SQLITE, "rpmdb.sqlite", bytes.data, bytes.len, count, &n, &err) < 0);
		CHECK_HAS(err.text, cases[i].says);
		CHECK_EQ(n, 0);
		vn_buf_release(&bytes);
	}
}

/* ---- headers built by hand, in the smallest ndb that holds one */
struct tag {
	uint32_t tag, type, offset, count;
};
static void put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24), p[1] = (uint8_t)(v >> 16), p[2] = (uint8_t)(v >> 8), p[3] = (uint8_t)v;
}

#define NDB_SIZE (4096 + 512)
static void make_ndb(uint8_t file[NDB_SIZE], const struct tag *tags, uint32_t n, uint32_t claimed, const char *data,
		     uint32_t dl)
{
	memset(file, 0, NDB_SIZE);
	memcpy(file, "RpmP", 4);
	vn_put_u32(file + 12, 1);
	for (size_t at = 32; at < 4096; at += 16)
		memcpy(file + at, "Slot", 4);
	vn_put_u32(file + 32 + 4, 1);
	vn_put_u32(file + 32 + 8, 4096 / 16);
	vn_put_u32(file + 32 + 12, 512 / 16);
	uint8_t *blob = file + 4096, *header = blob + 16;
	memcpy(blob, "BlbS", 4);
	vn_put_u32(blob + 4, 1);
	vn_put_u32(blob + 12, 8 + 16 * n + dl);
	put_be32(header, claimed);
	put_be32(header + 4, dl);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *p = header + 8 + 16 * i;
		put_be32(p, tags[i].tag), put_be32(p + 4, tags[i].type), put_be32(p + 8, tags[i].offset),
			put_be32(p + 12, tags[i].count);
	}
	memcpy(header + 8 + 16 * n, data, dl);
}

static void test_headers(void)
{
	/* name at 0, version at 2, release at 4, epoch at 8, a text without end at 12 */
	static const char data[] = "n\0v\0r\0\0\0\0\0\0\5xyz";
	static const struct {
		struct tag tags[6];
		uint32_t claimed; /* 0 = as many as there are */
		const char *finds, *says;
	} cases[] = {
		{ { { 1000, 6, 0, 1 }, { 1001, 6, 2, 1 }, { 1002, 6, 4, 1 } }, 0, "n v-r \n", NULL },
		{ { { 1000, 6, 0, 1 }, { 1001, 6, 2, 1 }, { 1002, 6, 4, 1 }, { 1003, 4, 8, 1 }, { 1022, 6, 0, 1 } },
		  0,
		  "n 5:v-r n\n",
		  NULL },
		{ { { 1000, 6, 0, 1 }, { 1001, 6, 2, 1 } }, 0, NULL, "rpm header without a release" },
		{ { { 1001, 6, 0, 1 }, { 1002, 6, 2, 1 } }, 0, NULL, "rpm header without a name" },
		{ { { 1000, 6, 12, 1 } }, 0, NULL, "rpm header tag 1000" },
		{ { { 1000, 6, 15, 1 } }, 0, NULL, "rpm header tag 1000" },
		{ { { 1000, 6, 0xffffffff, 1 } }, 0, NULL, "rpm header tag 1000" },
		{ { { 1000, 4, 0, 1 } }, 0, NULL, "rpm header tag 1000" },
		{ { { 1003, 4, 12, 1 } }, 0, NULL, "rpm header tag 1003" },
		{ { { 1003, 4, 0xfffffffe, 1 } }, 0, NULL, "rpm header tag 1003" },
		{ { { 1000, 6, 0, 1 } }, 0x10000000, NULL, "that claims 268435456 tags" },
		{ { { 1000, 6, 0, 1 } }, 65000, NULL, "that claims 65000 tags" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		struct vn_buf found = VN_BUF(4096);
		uint8_t file[NDB_SIZE];
		uint32_t n = 0;
		while (n < 6 && cases[i].tags[n].tag)
			n++;
		make_ndb(file, cases[i].tags, n, cases[i].claimed ? cases[i].claimed : n, data, sizeof(data) - 1);
		int rc = vn_packages_parse(VN_DB_RPM_NDB, "Packages.db", file, sizeof(file), list, &found, &err);
		CHECK_EQ(rc, cases[i].says ? -VN_EFORMAT : 0);
		CHECK_STR(vn_buf_text(&found), cases[i].finds ? cases[i].finds : "");
		if (cases[i].says)
			CHECK_HAS(err.text, cases[i].says);
		vn_buf_release(&found);
	}
}

static void test_ndb_refused(void)
{
	static const struct tag tags[] = { { 1000, 6, 0, 1 }, { 1001, 6, 2, 1 }, { 1002, 6, 4, 1 } };
	static const struct {
		size_t at;
		uint32_t value;
		const char *says;
	} cases[] = {
		{ 4, 1, "byte 4: ndb version 1" },
		{ 12, 0, "0 pages of slots" },
		{ 12, 2, "2 pages of slots" },
		{ 48, 0, "byte 48: not a slot" },
		{ 40, 0xffffffff, "outside the file" },
		{ 44, 1, "outside the file" },
		{ 44, 33, "outside the file" },
		{ 36, 2, "not the blob of package 2" },
		{ 4096, 0, "not the blob of package 1" },
		{ 4096 + 12, 512, "a blob of 512 bytes in 512" },
		{ 4096 + 12, 0, "rpm header of 0 bytes" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		uint8_t file[NDB_SIZE];
		int n = 0;
		make_ndb(file, tags, 3, 3, "n\0v\0r", 6);
		vn_put_u32(file + cases[i].at, cases[i].value);
		CHECK_EQ(vn_packages_parse(VN_DB_RPM_NDB, "Packages.db", file, sizeof(file), count, &n, &err), -VN_EFORMAT);
		CHECK_HAS(err.text, cases[i].says);
	}
}

int main(void)
{
	RUN(test_paths);
	RUN(test_text);
	RUN(test_text_refused);
	RUN(test_stop);
	RUN(test_rpm);
	RUN(test_rpm_damaged);
	RUN(test_sqlite_hostile);
	RUN(test_headers);
	RUN(test_ndb_refused);
	return vn_test_end();
}
