#include "source/test_repo.h"

static struct vn_source_changes changes(const char *path, const char *revision)
{
	struct vn_source_changes c = { .files = NULL };
	struct vn_err err = { 0 };
	CHECK_OK(vn_source_changed(below(path), revision, &c, &err), &err);
	return c;
}

static const struct vn_source_file *file_of(const struct vn_source_changes *c, const char *path)
{
	static const struct vn_source_file none = { .path = NULL };
	for (size_t i = 0; i < c->nfiles; i++)
		if (!strcmp(c->files[i].path, path))
			return &c->files[i];
	CHECK_STR("absent", path);
	return &none;
}

static const char many[] = "a==1\nb==2\nc==3\nd==4\ne==5\nf==6\ng==7\nh==8\n";

static void test_changes(void)
{
	git_repository *repo = new_repo();
	char old[VN_REVISION_TEXT], new[VN_REVISION_TEXT];
	put_file("requirements.txt", "numpy==1.0\nscipy==1.1\n# old note\n");
	put_file("Dockerfile", "FROM debian:12\n");
	put_file("conda/env-conda.yaml", "name: x\n");
	put_file("requirements-dev.txt", many);
	put_file("poetry.lock", "a\nb\n");
	put_file("setup.py", "same\n");
	put_file("src/main.py", "print(1)\n");
	put_file(".gitignore", "venv\n");
	commit_all(repo, old);
	put_file("requirements.txt", "numpy==1.2\nscipy==1.1\n\n--extra-index-url https://u:secret@host/simple\n# new note\n");
	put_file("poetry.lock", "a\nc\n");
	put_file("src/main.py", "print(2)\n");
	CHECK_EQ(remove(below("conda/env-conda.yaml")), 0);
	CHECK_EQ(rename(below("requirements-dev.txt"), below("requirements-test.txt")), 0);
	commit_all(repo, new);
	put_file("Dockerfile", "FROM debian:13\n");  /* not committed */
	put_file("requirements/gpu.txt", "torch\n"); /* not even added */
	put_file("venv/requirements.txt", "ignored\n");
	struct vn_source_changes c = changes("", old);
	CHECK_STR(c.old_revision, old);
	CHECK_STR(c.new_revision, new);
	CHECK(c.dirty);
	CHECK_EQ(c.nfiles, 6);
	const struct vn_source_file *f = file_of(&c, "requirements.txt");
	CHECK_EQ(f->change, VN_SOURCE_MODIFIED);
	CHECK_STR(f->kind, "python");
	CHECK(f->added == 4 && f->removed == 2);
	CHECK_EQ(f->nlines, 3);
	if (f->nlines == 3) {
		CHECK(!f->lines[0].added && f->lines[1].added);
		CHECK_STR(f->lines[0].text, "numpy==1.0");
		CHECK_STR(f->lines[1].text, "numpy==1.2");
		CHECK_STR(f->lines[2].text, "--extra-index-url https://host/simple");
	}
	f = file_of(&c, "poetry.lock");
	CHECK(f->added == 1 && f->removed == 1 && f->nlines == 0);
	CHECK_EQ(file_of(&c, "conda/env-conda.yaml")->change, VN_SOURCE_REMOVED);
	CHECK_EQ(file_of(&c, "Dockerfile")->nlines, 2);
	CHECK_EQ(file_of(&c, "requirements/gpu.txt")->change, VN_SOURCE_ADDED);
	CHECK_EQ(file_of(&c, "requirements/gpu.txt")->added, 1);
	f = file_of(&c, "requirements-test.txt");
	CHECK_EQ(f->change, VN_SOURCE_RENAMED);
	CHECK_STR(f->old_path, "requirements-dev.txt");
	CHECK_STR(vn_source_change_name(f->change), "renamed");
	CHECK(f->added == 0 && f->removed == 0);
	vn_source_changes_release(&c);
	vn_source_changes_release(&c);
	end_repo(repo);
}

static void test_same(void)
{
	git_repository *repo = new_repo();
	char old[VN_REVISION_TEXT], half[13];
	put_file("requirements.txt", many);
	commit_all(repo, old);
	snprintf(half, sizeof(half), "%.12s", old);
	struct vn_source_changes c = changes("", half);
	CHECK_EQ(c.nfiles, 0);
	CHECK_STR(c.old_revision, old);
	CHECK(!c.dirty);
	vn_source_changes_release(&c);
	end_repo(repo);
}

/* Many models in one repository: what stands beside or above a model's folder counts, its neighbours' files do not. */
static void test_folders(void)
{
	git_repository *repo = new_repo();
	char old[VN_REVISION_TEXT];
	static const char *const paths[] = { "requirements.txt",	  "models/Dockerfile",
					     "models/a/requirements.txt", "models/a/deep/er/setup.py",
					     "models/b/requirements.txt", "models/aa/setup.cfg" };
	for (size_t i = 0; i < 6; i++)
		put_file(paths[i], "1\n");
	commit_all(repo, old);
	for (size_t i = 0; i < 6; i++)
		put_file(paths[i], "2\n");
	struct vn_source_changes c = changes("models/a", old);
	CHECK_EQ(c.nfiles, 4);
	for (size_t i = 0; i < 4; i++)
		file_of(&c, paths[i]);
	vn_source_changes_release(&c);
	end_repo(repo);
}

static void test_caps(void)
{
	git_repository *repo = new_repo();
	char old[VN_REVISION_TEXT];
	VN_AUTO_FREE char *text = calloc(1, 20000);
	put_file("requirements.txt", "x\n");
	put_file("setup.py", "x\n");
	commit_all(repo, old);
	for (int i = 0; text && i < 1000; i++)
		memcpy(text + 6 * i, "line1\n", 6);
	put_file("requirements.txt", text);
	memset(text, 'y', 19000);
	put_file("setup.py", text);
	struct vn_source_changes c = changes("", old);
	const struct vn_source_file *f = file_of(&c, "requirements.txt");
	CHECK_EQ(f->added, 1000);
	CHECK_EQ(f->nlines, 200);
	CHECK(f->more_lines);
	f = file_of(&c, "setup.py");
	CHECK(f->nlines == 2 && strlen(f->lines[1].text) == 400);
	vn_source_changes_release(&c);
	end_repo(repo);
}

static void expect(const char *path, const char *revision, enum vn_code code, const char *says, const char *hint)
{
	struct vn_source_changes c = { .nfiles = 77 };
	struct vn_err err = { 0 };
	CHECK_EQ(vn_source_changed(path, revision, &c, &err), -(int)code);
	CHECK_HAS(err.text, says);
	CHECK_HAS(err.hint, hint);
	CHECK_EQ(c.nfiles, 77);
}

static void test_refused(void)
{
	git_repository *repo = new_repo();
	char old[VN_REVISION_TEXT], shallow[80];
	put_file("a", "1");
	commit_all(repo, old);
	expect(top, "0123456789012345678901234567890123456789", VN_ENOTFOUND, "is not in", "another repository");
	snprintf(shallow, sizeof(shallow), "%s\n", old);
	put_file(".git/shallow", shallow);
	git_repository_free(repo);
	repo = NULL;
	expect(top, "0123456789012345678901234567890123456789", VN_ENOTFOUND, "is not in", "--unshallow");
	expect(top, "HEAD~1", VN_EUSAGE, "not a git revision", "");
	expect(top, "", VN_EUSAGE, "not a git revision", "");
	expect(top, "abc", VN_EUSAGE, "not a git revision", "");
	expect(top, "01234567890123456789012345678901234567890", VN_EUSAGE, "not a git revision", "");
	expect("/", old, VN_ENOTFOUND, "not in a git repository", "clone");
	end_repo(repo);
}

static void test_kinds(void)
{
	static const struct {
		const char *path, *kind;
	} table[] = {
		{ "requirements.txt", "python" },
		{ "a/b/requirements-gpu.txt", "python" },
		{ "dev-requirements.txt", "python" },
		{ "requirements/base.txt", "python" },
		{ "a/requirements/base.txt", "python" },
		{ "conda_env.yml", "conda" },
		{ "my-conda.yaml", "conda" },
		{ "environment.yml", "conda" },
		{ "Pipfile.lock", "python" },
		{ "uv.lock", "python" },
		{ "Dockerfile", "container" },
		{ "Dockerfile.arm", "container" },
		{ "x.dockerfile", "container" },
		{ "Containerfile", "container" },
		{ "go.sum", "go" },
		{ "Cargo.lock", "rust" },
		{ "package-lock.json", "node" },
		{ "a/pyproject.toml", "python" },
		{ "README.md", NULL },
		{ "main.py", NULL },
		{ "requirements.txt/x", NULL },
		{ "", NULL },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		CHECK_STR(vn_source_dependency_kind(table[i].path), table[i].kind);
}

int main(void)
{
	struct vn_err err = { 0 };
	setenv("HOME", "/nonexistent", 1);
	setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
	CHECK_OK(vn_git_init(&err), &err);
	RUN(test_changes);
	RUN(test_same);
	RUN(test_folders);
	RUN(test_caps);
	RUN(test_refused);
	RUN(test_kinds);
	vn_git_exit();
	return vn_test_end();
}
