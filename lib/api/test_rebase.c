#include "api/fixture.h"
#include "util/path.h"
#include <sys/stat.h>
#include <unistd.h>

static const struct vn_rebase_options plain = { .size = sizeof(plain) };

/* The digest, "" after a failure, whose code and text are in the error. */
struct outcome {
	int rc;
	char digest[VN_DIGEST_TEXT];
	struct vn_err err;
	struct vn_rebase *r;
	const struct vn_rebase_result *result;
	const struct vn_rebase_image *image;
};

static void run(struct outcome *o, const char *old_ref, const char *new_ref, const char *dest, const struct vn_rebase_options *options)
{
	struct vn *vn = handle("cache");
	memset(o, 0, sizeof(*o));
	o->rc = vn_rebase_run(vn, old_ref, new_ref, dest, options, &o->r, &o->err);
	if (o->r) {
		o->result = vn_rebase_get(o->r);
		o->image = o->result->images;
		snprintf(o->digest, sizeof(o->digest), "%s", o->result->digest ? o->result->digest : "");
	}
	vn_close(vn);
}

static void run_ok(struct outcome *o, const char *old_ref, const char *new_ref, const char *dest,
		   const struct vn_rebase_options *options)
{
	run(o, old_ref, new_ref, dest, options);
	CHECK_OK(o->rc, &o->err);
}

static void end(struct outcome *o)
{
	vn_rebase_free(o->r);
	o->r = NULL;
}

/* "kind path" of the result's layers above the base, each behind a '|'; contents of short files in brackets. */
static const char *veneer(const char *layout, const struct outcome *o)
{
	static char out[8192];
	struct vn_manifest m = { 0 };
	size_t n = 0;
	out[0] = 0;
	if (!o->image)
		return "nothing";
	read_manifest(layout, o->image->digest, &m);
	for (size_t i = o->image->base_layers; i < m.nlayers; i++) {
		struct vn_err err = { 0 };
		VN_AUTO(vn_buf) bytes = VN_BUF(64u << 20);
		VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
		const struct vn_tar_entry *e;
		struct vn_in *in = NULL;
		read_plain(layout, m.layers[i].digest.text, &bytes);
		CHECK_OK(vn_in_memory(bytes.data, bytes.len, &in, &err), &err);
		CHECK_OK(vn_tar_open(in, "a layer", &tar, &err), &err);
		n += (size_t)snprintf(out + n, sizeof(out) - n, "|");
		while (tar && vn_tar_next(tar, &e, &err) > 0) {
			n += (size_t)snprintf(out + n, sizeof(out) - n, " %c%s", "-dlhcbp"[e->type], *e->path ? e->path : "/");
			if (e->link)
				n += (size_t)snprintf(out + n, sizeof(out) - n, ">%s", e->link);
			if (e->mode & 07000 || (e->type == VN_DIR && e->mode != 0755))
				n += (size_t)snprintf(out + n, sizeof(out) - n, ":%o", e->mode);
			for (size_t k = 0; k < e->nxattrs; k++)
				n += (size_t)snprintf(out + n, sizeof(out) - n, "{%s}", e->xattrs[k].name);
		}
	}
	vn_manifest_release(&m);
	return out;
}

static void check_same(const char *a, const char *b)
{
	struct vn *vn = handle("cache");
	struct vn_err err = { 0 };
	struct vn_diff *d = NULL;
	CHECK_OK(vn_diff_run(vn, a, b, NULL, &d, &err), &err);
	if (d)
		CHECK(vn_diff_get_summary(d)->same);
	vn_diff_free(d);
	vn_close(vn);
}

/* OLD and NEW differ by these texts in their second layer: what the veneer holds. */
static const char *carried(const char *old_text, const char *new_text)
{
	static unsigned turn;
	char dest[700], tag[32];
	struct outcome o;
	snprintf(tag, sizeof(tag), "carried:t%u", turn++);
	snprintf(dest, sizeof(dest), "%s", oci(tag));
	put_heavy("c-old", old_text, 1, NULL);
	put_heavy("c-new", new_text, 2, NULL);
	run_ok(&o, oci("c-old"), oci("c-new"), dest, &plain);
	const char *text = veneer("carried", &o);
	CHECK(o.image && o.image->proved);
	if (o.rc == 0)
		check_same(dest, oci("c-new"));
	end(&o);
	return text;
}

static void test_payload(void)
{
	CHECK_STR(carried("f a 1", "f a 2"), "| -a");
	CHECK_STR(carried("d a; f a/x 1; f a/y 1", "d a; f a/x 1"), "| da -a/.wh.y");
	CHECK_STR(carried("d a 0700; d a/b; f a/b/x 1", "d a 0700; d a/b; f a/b/x 2"), "| da:700 da/b -a/b/x");
	CHECK_STR(carried("d a; d a/b; f a/b/x 1; f a/b/y 1", ""), "| -.wh.a");
	CHECK_STR(carried("d a; f a/x 1", "f a 1"), "| -a");
	CHECK_STR(carried("d a; f a/x 1", "l a b; d b"), "| la>b db");
	CHECK_STR(carried("l a b; d b", "d a; f a/x 1; d b"), "| da -a/x");
	CHECK_STR(carried("f a 1", "p a"), "| pa");
	CHECK_STR(carried("f a 1", "c a 1:3"), "| ca");
	CHECK_STR(carried("f a 1", "x a security.capability=0"), "| -a{security.capability}");
	CHECK_STR(carried("x a user.k=v", "f a "), "| -a");
	CHECK_STR(carried("f a 1", "f a 2; h b a; h c a"), "| -a hb>a hc>a");
	CHECK_STR(carried("f a 1; f b 1", "f a 1; h b a"), "| -a hb>a");
	CHECK_STR(carried("f a 1; h b a; h c a", "f a 1; h b a; f c 2"), "| -c");
	CHECK_STR(carried("f a 1; h b a", "f a 1"), "| -.wh.b");
	CHECK_STR(carried("f gr\xc3\xbc\xc3\x9f\x65 1; f \xff\xfe 1", "f gr\xc3\xbc\xc3\x9f\x65 2; f \xff\xfe 2"),
		  "| -gr\xc3\xbc\xc3\x9f\x65 -\xff\xfe");
	CHECK_STR(carried("f a\nb 1", "f a\nb 2"), "| -a\nb");
	CHECK_STR(carried("d / 0755; f a 1", "d / 0700; f a 2"), "| d/:700 -a");
}

/* Opaque marks and whiteouts of NEW's own layers are followed, and what they hide is hidden again over OLD. */
static void test_marks(void)
{
	CHECK_STR(carried("d usr; f x 1", "d usr; o usr; f x 1"), "| dusr -usr/.wh.lib");
	CHECK_STR(carried("f x 1", "w usr/lib/big; f x 1"), "| dusr dusr/lib -usr/lib/.wh.big");
	CHECK_STR(carried("w usr; f x 1", "f x 1"), "| dusr dusr/lib -usr/lib/big");
	CHECK_STR(carried("f x 1", "h usr/copy usr/lib/big; f x 1"), "| dusr -usr/copy");
	CHECK_STR(carried("f x 1", "h c1 usr/lib/big; h c2 usr/lib/big; f x 1"), "| -c1 -c2");
}

static void test_setuid(void)
{
	struct outcome o;
	for (int i = 0; i < 2; i++) {
		struct pen p;
		struct vn_tar_entry e = { .path = "bin/su", .mode = i ? 04755 : 0755, .size = 2, .uid = 0 };
		struct spec s = { .n = 0 };
		heavy(&s, 1);
		heavy_text(&s, 2, "", (unsigned)i);
		pen_open(&p);
		pen_entry(&p, &e, "su");
		pen_close(&p);
		s.tars[s.n++] = p.bytes;
		put_layout(i ? "suid-new" : "suid-old", &s);
	}
	run_ok(&o, oci("suid-old"), oci("suid-new"), oci("suid:v1"), &plain);
	CHECK_HAS(veneer("suid", &o), "-bin/su:4755");
	end(&o);
}

/* ---- the same inputs give the same bytes */
static void test_determinism(void)
{
	struct outcome o;
	char first[VN_DIGEST_TEXT];
	struct vn_err err = { 0 };
	put_heavy("det-old", "d d; f d/model.pkl one; f gone 1", 1, NULL);
	put_heavy("det-new", "d d; f d/model.pkl two", 2, "\"Env\":[\"A=1\"]");
	run_ok(&o, oci("det-old"), oci("det-new"), oci("det-a:v1"), &plain);
	memcpy(first, o.digest, sizeof(first));
	end(&o);
	mode_t mask = umask(0077);
	setenv("TZ", "Pacific/Kiritimati", 1);
	CHECK_OK(vn_fs_remove_tree(below("cache"), &err), &err);
	run_ok(&o, oci("det-old"), oci("det-new"), oci("det-b:other"), &plain);
	CHECK_STR(o.digest, first);
	end(&o);
	umask(mask);
	unsetenv("TZ");
	run_ok(&o, oci("det-old"), oci("det-new"), oci("det-a:v1"), &plain);
	CHECK(o.result && o.result->up_to_date && !o.result->written);
	CHECK_STR(o.digest, first);
	end(&o);
}

/* ---- thin on thin */
static void test_thin_on_thin(void)
{
	struct outcome o;
	put_heavy("thin-old", "f a 1; f b 1", 1, NULL);
	put_heavy("thin-new1", "f a 2; f b 1", 2, NULL);
	put_heavy("thin-new2", "f a 1; f b 3", 3, NULL);
	run_ok(&o, oci("thin-old"), oci("thin-new1"), oci("thin:v1"), &plain);
	CHECK_STR(veneer("thin", &o), "| -a");
	end(&o);
	run_ok(&o, oci("thin:v1"), oci("thin-new2"), oci("thin:v2"), &plain);
	CHECK_STR(veneer("thin", &o), "| -b");
	CHECK_EQ(o.image ? o.image->base_layers : 0, 2);
	end(&o);
	check_same(oci("thin:v2"), oci("thin-new2"));
	/* the same from the base itself: one digest but for what it is called */
	run_ok(&o, oci("thin-old"), oci("thin-new2"), oci("thin:v3"), &plain);
	CHECK_STR(veneer("thin", &o), "| -b");
	end(&o);
}

/* A label that an image FROM a thin one inherits says nothing of its layers. */
static void test_thin_label_lies(void)
{
	struct outcome o;
	struct spec s = { .config = "\"Labels\":{\"dev.veneer.base.layers\":\"1\"}" };
	heavy(&s, 1);
	heavy_text(&s, 2, "f a 1", 1);
	put_layout("lie-old", &s);
	put_heavy("lie-new", "f a 2", 2, NULL);
	run_ok(&o, oci("lie-old"), oci("lie-new"), oci("lie:v1"), &plain);
	CHECK_EQ(o.image ? o.image->base_layers : 0, 2);
	end(&o);
	s = (struct spec){ .config = "\"Labels\":{\"dev.veneer.base.layers\":\"7\"}" };
	heavy(&s, 1);
	put_layout("lie-old", &s);
	run(&o, oci("lie-old"), oci("lie-new"), oci("lie:v2"), &plain);
	CHECK_EQ(o.rc, -VN_EFORMAT);
	CHECK_HAS(o.err.text, "dev.veneer.base.layers");
	end(&o);
}

/* ---- modes */
static void test_split(void)
{
	struct outcome o;
	struct vn_rebase_options split = plain;
	split.split = true;
	put_heavy("split-old", "d m; f m/model.onnx 1; f m/score.py 1; f etc.txt 1", 1, NULL);
	put_heavy("split-new", "d m; f m/model.onnx 2; f m/score.py 2; f etc.txt 2", 2, NULL);
	run_ok(&o, oci("split-old"), oci("split-new"), oci("split:v1"), &split);
	CHECK_STR(veneer("split", &o), "| -etc.txt| dm -m/score.py| dm -m/model.onnx");
	if (o.image && o.image->nlayers == 3) {
		CHECK_STR(o.image->layers[0].role, "veneer");
		CHECK_STR(o.image->layers[1].role, "score");
		CHECK_STR(o.image->layers[2].role, "model");
	}
	end(&o);
	check_same(oci("split:v1"), oci("split-new"));
}

static void test_paths_mode(void)
{
	struct outcome o;
	struct vn_rebase_options paths = plain;
	enum vn_class accepted[] = { VN_CLASS_OTHER };
	paths.mode = VN_MODE_PATHS;
	put_heavy("paths-old", "f model.onnx 1; f thing 1", 1, NULL);
	put_heavy("paths-new", "f model.onnx 2; f thing 2", 2, NULL);
	run(&o, oci("paths-old"), oci("paths-new"), oci("paths:v1"), &paths);
	CHECK_EQ(o.rc, -VN_EREFUSED);
	CHECK_HAS(o.err.text, "/thing (other)");
	CHECK(o.image && o.image->nblockers == 1);
	CHECK(!vn_fs_exists(below("paths/index.json")));
	end(&o);
	paths.accept = accepted;
	paths.naccept = 1;
	run_ok(&o, oci("paths-old"), oci("paths-new"), oci("paths:v1"), &paths);
	CHECK_STR(veneer("paths", &o), "| -model.onnx");
	CHECK_STR(o.image ? o.image->accepted : "", "other");
	end(&o);
}

static void test_refusals(void)
{
	struct outcome o;
	struct vn_rebase_options larger = plain;
	put_heavy("ref-old", "f a 1", 1, NULL);
	put_stack("ref-small", "f a 2");
	run(&o, oci("ref-old"), oci("ref-old"), oci("ref:v1"), &plain);
	CHECK_EQ(o.rc, -VN_EREFUSED);
	CHECK_HAS(o.err.text, "same image");
	end(&o);
	/* NEW is one small layer; what OLD has besides must be hidden */
	struct spec s = { .n = 0 };
	spec_text(&s, "f b 1; f c 1; d d; f d/e 1; f f 1; f g 1; f h 1; f i 1|f a 1");
	put_layout("ref-tiny", &s);
	run(&o, oci("ref-tiny"), oci("ref-small"), oci("ref:v1"), &plain);
	CHECK_EQ(o.rc, -VN_EREFUSED);
	CHECK_HAS(o.err.text, "not be smaller");
	CHECK(!vn_fs_exists(below("ref/index.json")));
	end(&o);
	larger.larger = true;
	run_ok(&o, oci("ref-tiny"), oci("ref-small"), oci("ref:v1"), &larger);
	end(&o);
	check_same(oci("ref:v1"), oci("ref-small"));
	s = (struct spec){ .arch = "arm64" };
	heavy(&s, 1);
	put_layout("ref-arm", &s);
	run(&o, oci("ref-old"), oci("ref-arm"), oci("ref:v2"), &plain);
	CHECK_EQ(o.rc, -VN_EREFUSED);
	CHECK_HAS(o.err.text, "arm64");
	end(&o);
}

static void test_dry_run_and_tags(void)
{
	struct outcome o;
	struct vn_rebase_options options = plain;
	put_heavy("tag-old", "f a 1", 1, NULL);
	put_heavy("tag-new", "f a 2", 2, NULL);
	put_heavy("tag-next", "f a 3", 3, NULL);
	options.dry_run = true;
	run_ok(&o, oci("tag-old"), oci("tag-new"), oci("tag:v1"), &options);
	CHECK(o.result && !o.result->written && o.image->pull_after && !o.image->proved);
	CHECK(!vn_fs_exists(below("tag/index.json")));
	end(&o);
	run_ok(&o, oci("tag-old"), oci("tag-new"), oci("tag:v1"), &plain);
	end(&o);
	run(&o, oci("tag-old"), oci("tag-next"), oci("tag:v1"), &plain);
	CHECK_EQ(o.rc, -VN_EREFUSED);
	CHECK_HAS(o.err.text, "already names");
	CHECK_HAS(o.err.hint, "--move-tag");
	end(&o);
	check_same(oci("tag:v1"), oci("tag-new"));
	options = plain;
	options.move_tag = true;
	run_ok(&o, oci("tag-old"), oci("tag-next"), oci("tag:v1"), &options);
	end(&o);
	check_same(oci("tag:v1"), oci("tag-next"));
	options = plain;
	options.tag = "m-{build}-{new.tag}";
	options.build = "17";
	run_ok(&o, oci("tag-old"), oci("tag-new:v1"), oci("tag"), &options);
	CHECK_STR(o.result ? o.result->tag : "", "m-17-v1");
	end(&o);
	run(&o, oci("tag-old"), oci("tag-new:v1"), oci("tag:v7"), &options);
	CHECK_EQ(o.rc, -VN_EUSAGE);
	end(&o);
}

/* ---- configuration */
static void test_noise_and_config_only(void)
{
	struct outcome o;
	put_heavy("cfg-old", "d var/log; f var/log/a 1", 1, "\"Env\":[\"A=1\"],\"Cmd\":null");
	put_heavy("cfg-new", "d var/log; f var/log/a 2", 2, "\"Env\":[\"A=2\"],\"User\":\"me\"");
	run_ok(&o, oci("cfg-old"), oci("cfg-new"), oci("cfg:v1"), &plain);
	CHECK_STR(veneer("cfg", &o), "");
	CHECK_EQ(o.image ? o.image->nlayers : 9, 0);
	CHECK_EQ(o.image ? o.image->nconfig : 0, 2);
	CHECK_EQ(o.image ? o.image->pull_after : 9, 0);
	end(&o);
	check_same(oci("cfg:v1"), oci("cfg-new"));
}

static void history_of(const char *layout, const struct outcome *o, struct vn_config *ret)
{
	struct vn_err err = { 0 };
	struct vn_manifest m = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
	read_manifest(layout, o->image->digest, &m);
	read_blob(layout, m.config.digest.text, &bytes);
	CHECK_OK(vn_config_parse(bytes.data, bytes.len, ret, &err), &err);
	CHECK_EQ(ret->ndiff_ids, m.nlayers);
	vn_manifest_release(&m);
}

static void test_history(void)
{
	static const char *const histories[] = {
		(",\"history\":[{\"created_by\":\"one\"},{\"created_by\":\"env\",\"empty_layer\":true},{\"created_by\":\"two\"},"
		 "{\"created_by\":\"cmd\",\"empty_layer\":true}]"),
		",\"history\":[{\"created_by\":\"only one for two layers\"}]", ",\"history\":[]", "",
	};
	put_heavy("his-new", "f a 2", 2, NULL);
	for (size_t i = 0; i < sizeof(histories) / sizeof(histories[0]); i++) {
		struct outcome o;
		struct vn_config config = { 0 };
		struct spec s = { .more = histories[i] };
		char dest[700], tag[32];
		heavy(&s, 1);
		heavy_text(&s, 2, "f a 1", 1);
		put_layout("his-old", &s);
		snprintf(tag, sizeof(tag), "his:v%zu", i);
		snprintf(dest, sizeof(dest), "%s", oci(tag));
		run_ok(&o, oci("his-old"), oci("his-new"), dest, &plain);
		if (o.image) {
			history_of("his", &o, &config);
			CHECK(vn_config_history_fits(&config));
			CHECK_HAS(vn_config_step(&config, 2), "veneer rebase");
			if (i == 0) {
				CHECK_EQ(config.nhistory, 5);
				CHECK_STR(vn_config_step(&config, 1), "two");
			}
		}
		vn_config_release(&config);
		end(&o);
	}
}

static void test_docker_family(void)
{
	struct outcome o;
	struct vn_manifest m = { 0 };
	for (int i = 0; i < 2; i++) {
		struct spec s = { .docker = true };
		heavy(&s, 1);
		heavy_text(&s, 2, i ? "f a 2" : "f a 1", (unsigned)i);
		put_layout(i ? "doc-new" : "doc-old", &s);
	}
	/* a layout holds OCI alone */
	run_ok(&o, oci("doc-old"), oci("doc-new"), oci("doc:v1"), &plain);
	if (o.image) {
		read_manifest("doc", o.image->digest, &m);
		CHECK_EQ(m.family, VN_FAMILY_OCI);
		for (size_t i = 0; i < m.nlayers; i++)
			CHECK_STR(m.layers[i].media_type, VN_MT_OCI_LAYER "+gzip");
		vn_manifest_release(&m);
	}
	end(&o);
	check_same(oci("doc:v1"), oci("doc-new"));
}

/* ---- indexes */
static void put_index(const char *layout, const char *const *archs, const char *text, unsigned stamp)
{
	char list[2048];
	size_t n = (size_t)snprintf(list, sizeof(list), "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[", VN_MT_OCI_INDEX);
	for (size_t i = 0; archs[i]; i++) {
		struct spec s = { .arch = archs[i] };
		heavy(&s, (unsigned)strlen(archs[i]));
		heavy_text(&s, 2, text, stamp);
		struct blob image = put_image(layout, &s);
		spec_release(&s);
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu,\"platform\":"
				      "{\"os\":\"linux\",\"architecture\":\"%s\"}}", i ? "," : "", VN_MT_OCI_MANIFEST, image.digest,
				      image.size, archs[i]);
	}
	n += (size_t)snprintf(list + n, sizeof(list) - n, "]}");
	struct blob root = put_blob(layout, list, n);
	name_root(layout, &root, VN_MT_OCI_INDEX);
}

static void test_index(void)
{
	static const char *const two[] = { "amd64", "arm64", NULL }, *const one[] = { "amd64", NULL };
	struct outcome o;
	struct vn_rebase_options options = plain;
	put_index("ix-old", two, "f a 1; f model.onnx 1", 1);
	put_index("ix-new", two, "f a 2; f model.onnx 2", 2);
	put_index("ix-one", one, "f a 1; f model.onnx 1", 1);
	run_ok(&o, oci("ix-old"), oci("ix-new"), oci("ix:v1"), &plain);
	CHECK_EQ(o.result ? o.result->nimages : 0, 2);
	for (size_t i = 0; o.result && i < o.result->nimages; i++)
		CHECK(o.result->images[i].proved);
	end(&o);
	options.platform = "linux/arm64";
	run_ok(&o, oci("ix-old"), oci("ix-new"), oci("ix:arm"), &options);
	CHECK_EQ(o.result ? o.result->nimages : 0, 1);
	CHECK_STR(o.image ? o.image->platform : "", "linux/arm64");
	end(&o);
	run(&o, oci("ix-one"), oci("ix-new"), oci("ix:v2"), &plain);
	CHECK_EQ(o.rc, -VN_EREFUSED);
	CHECK_HAS(o.err.text, "linux/arm64, which OLD has not");
	end(&o);
	/* what stands in the way of the first platform is shown, too */
	options = plain;
	options.mode = VN_MODE_PATHS;
	run(&o, oci("ix-old"), oci("ix-new"), oci("ix:v3"), &options);
	CHECK_EQ(o.rc, -VN_EREFUSED);
	CHECK(o.image && o.image->nblockers == 1);
	end(&o);
}

/* ---- what a proof must find */
static void test_broken_new(void)
{
	struct outcome o;
	struct vn_err err = { 0 };
	struct blob root = put_heavy("bad-new", "f a 2", 2, NULL);
	struct vn_manifest m = { 0 };
	char name[200];
	put_heavy("bad-old", "f a 1", 1, NULL);
	read_manifest("bad-new", root.digest, &m);
	snprintf(name, sizeof(name), "bad-new/blobs/sha256/%s", vn_digest_hex(&m.layers[1].digest));
	vn_manifest_release(&m);
	VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
	CHECK_OK(vn_fs_read(below(name), &bytes, &err), &err);
	bytes.data[bytes.len / 2] ^= 1;
	CHECK_OK(vn_fs_replace(below(name), bytes.data, bytes.len, 0644, &err), &err);
	run(&o, oci("bad-old"), oci("bad-new"), oci("bad:v1"), &plain);
	CHECK_EQ(o.rc, -VN_EDIGEST);
	CHECK(!vn_fs_exists(below("bad/index.json")));
	end(&o);
}

/* ---- option structs of other versions of the library */
static void test_options(void)
{
	struct outcome o;
	struct {
		struct vn_rebase_options known;
		char later[16];
	} newer = { .known = plain };
	put_heavy("opt-old", "f a 1", 1, NULL);
	put_heavy("opt-new", "f a 2", 2, NULL);
	newer.known.size = 0;
	run(&o, oci("opt-old"), oci("opt-new"), oci("opt:v1"), &newer.known);
	CHECK_EQ(o.rc, -VN_EUSAGE);
	CHECK_HAS(o.err.text, "size is not set");
	end(&o);
	newer.known.size = sizeof(newer);
	newer.later[15] = 1;
	run(&o, oci("opt-old"), oci("opt-new"), oci("opt:v1"), &newer.known);
	CHECK_EQ(o.rc, -VN_EUSAGE);
	CHECK_HAS(o.err.text, "newer version");
	end(&o);
	newer.later[15] = 0;
	run_ok(&o, oci("opt-old"), oci("opt-new"), oci("opt:v1"), &newer.known);
	end(&o);
	newer.known.size = offsetof(struct vn_rebase_options, platform);
	run_ok(&o, oci("opt-old"), oci("opt-new"), oci("opt:v1"), &newer.known);
	end(&o);
	run_ok(&o, oci("opt-old"), oci("opt-new"), oci("opt:v1"), NULL);
	end(&o);
}

static void test_json(void)
{
	struct outcome o;
	struct vn_err err = { 0 };
	char *text = NULL;
	vn_json *json = NULL;
	put_heavy("json-old", "f a 1", 1, NULL);
	put_heavy("json-new", "f a 2", 2, NULL);
	run_ok(&o, oci("json-old"), oci("json-new"), oci("json:v1"), &plain);
	CHECK_OK(vn_rebase_json(o.r, &text, &err), &err);
	CHECK_HAS(text, "veneer.rebase/1");
	CHECK_OK(vn_json_parse(text, strlen(text), "result", &json, &err), &err);
	vn_json_drop(json);
	free(text);
	end(&o);
}

int main(void)
{
	fixture_begin();
	RUN(test_payload);
	RUN(test_marks);
	RUN(test_setuid);
	RUN(test_determinism);
	RUN(test_thin_on_thin);
	RUN(test_thin_label_lies);
	RUN(test_split);
	RUN(test_paths_mode);
	RUN(test_refusals);
	RUN(test_dry_run_and_tags);
	RUN(test_noise_and_config_only);
	RUN(test_history);
	RUN(test_docker_family);
	RUN(test_index);
	RUN(test_broken_new);
	RUN(test_options);
	RUN(test_json);
	fixture_end();
	return vn_test_end();
}
