/* Reads just so much of a tar as finding members takes (POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic
 * Tar Format"): 512-byte headers, of which
 *   0 name[100]  124 size[12]  148 checksum[8]  156 type  157 link[100]  257 magic[6]  345 prefix[155]
 * sizes are octal digits, or base 256 when the first bit is set; type x carries pax records "LENGTH KEY=VALUE\n" for the next
 * member, L and K its long name and link. */
#include "store/members.h"
#include "stream/out.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "util/num.h"
#include "util/path.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK 512
#define MAX_LINK_HOPS 8

struct vn_members {
	int fd;
	char *name;
	uint64_t size;               /* of the file */
	struct vn_member *at;        /* by name, then order */
	size_t n, cap;
};

/* What the headers in front of a member say about it. */
struct ahead {
	struct vn_buf path, link;
	bool has_path, has_link, has_size, sparse;
	uint64_t size;
};

static void ahead_release(struct ahead *a)
{
	vn_buf_release(&a->path);
	vn_buf_release(&a->link);
}

static void ahead_clear(struct ahead *a)
{
	vn_buf_clear(&a->path);
	vn_buf_clear(&a->link);
	a->has_path = a->has_link = a->has_size = a->sparse = false;
}

/* ---- bytes */
static int read_at(const struct vn_members *m, uint64_t offset, void *out, size_t len, struct vn_err *err)
{
	char *p = out;
	while (len) {
		ssize_t n = pread(m->fd, p, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vn_fail_sys(err, VN_EIO, "cannot read %s", m->name);
		if (n == 0)
			return vn_fail(err, VN_EFORMAT, "%s is truncated: it ends at byte %llu", m->name, (unsigned long long)offset);
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static bool parse_number(const uint8_t *p, size_t len, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;
	if (p[0] & 0x80) {
		v = p[0] & 0x7f;
		for (i = 1; i < len; i++) {
			if (v >> 56)
				return false;
			v = v << 8 | p[i];
		}
		*ret = v;
		return true;
	}
	while (i < len && p[i] == ' ')
		i++;
	for (; i < len && p[i] >= '0' && p[i] <= '7'; i++) {
		if (v >> 61)
			return false;
		v = v << 3 | (uint64_t)(p[i] - '0');
	}
	if (i < len && p[i] != ' ' && p[i] != 0)
		return false;
	*ret = v;
	return true;
}

static bool checksum_fits(const uint8_t h[BLOCK])
{
	uint64_t said;
	uint32_t sum = 0;
	int32_t signed_sum = 0;                /* as some old tars counted */
	if (!parse_number(h + 148, 8, &said))
		return false;
	for (int i = 0; i < BLOCK; i++) {
		uint8_t c = i >= 148 && i < 156 ? ' ' : h[i];
		sum += c;
		signed_sum += (int8_t)c;
	}
	return said == sum || (signed_sum >= 0 && said == (uint64_t)signed_sum);
}

static bool is_zero(const uint8_t h[BLOCK])
{
	for (int i = 0; i < BLOCK; i++)
		if (h[i])
			return false;
	return true;
}

/* ---- headers that tell about the next member */
static int truncated(const struct vn_members *m, uint64_t offset, uint64_t need, struct vn_err *err)
{
	vn_fail(err, VN_EFORMAT, "%s is truncated: the member at byte %llu has %llu bytes, and the file ends at %llu", m->name,
		(unsigned long long)offset, (unsigned long long)need, (unsigned long long)m->size);
	return vn_hint(err, "write or copy the archive again");
}

static int read_body(const struct vn_members *m, uint64_t offset, uint64_t size, uint64_t max, struct vn_buf *ret,
		     struct vn_err *err)
{
	if (size > max)
		return vn_fail(err, VN_ELIMIT, "%s: the extended header at byte %llu has %llu bytes, more than %llu", m->name,
			       (unsigned long long)offset, (unsigned long long)size, (unsigned long long)max);
	if (offset > m->size || size > m->size - offset)
		return truncated(m, offset, size, err);
	int rc = vn_buf_reserve(ret, (size_t)size + 1, err);
	if (rc == 0)
		rc = read_at(m, offset, ret->data, (size_t)size, err);
	if (rc < 0)
		return rc;
	ret->len = (size_t)size;
	ret->data[ret->len] = 0;
	return 0;
}

static int pax_record(const struct vn_members *m, uint64_t offset, const char *key, size_t key_len, const char *value,
		      size_t len, struct ahead *a, struct vn_err *err)
{
	struct vn_buf *text = NULL;
	if (key_len == 4 && !memcmp(key, "path", 4)) {
		text = &a->path;
		a->has_path = true;
	} else if (key_len == 8 && !memcmp(key, "linkpath", 8)) {
		text = &a->link;
		a->has_link = true;
	} else if (key_len == 4 && !memcmp(key, "size", 4)) {
		char digits[24];
		if (len >= sizeof(digits))
			len = 0;
		memcpy(digits, value, len);
		digits[len] = 0;
		a->has_size = vn_parse_u64(digits, &a->size);
		if (!a->has_size)
			return vn_fail(err, VN_EFORMAT, "%s: the pax size at byte %llu is no number", m->name,
				       (unsigned long long)offset);
	} else if (key_len > 11 && !memcmp(key, "GNU.sparse.", 11)) {
		a->sparse = true;
	}
	if (!text)
		return 0;
	if (memchr(value, 0, len))
		return vn_fail(err, VN_EUNSAFE, "%s: a name at byte %llu holds a zero byte", m->name, (unsigned long long)offset);
	vn_buf_clear(text);
	return vn_buf_add(text, value, len, err);
}

static int pax_bad(const struct vn_members *m, uint64_t offset, struct vn_err *err)
{
	return vn_fail(err, VN_EFORMAT, "%s: malformed pax record in the header at byte %llu", m->name, (unsigned long long)offset);
}

static int parse_pax(const struct vn_members *m, uint64_t offset, const struct vn_buf *body, struct ahead *a, struct vn_err *err)
{
	const char *p = body->data, *end = p + body->len;
	while (p < end) {
		size_t len = 0;
		const char *q = p;
		for (; q < end && *q >= '0' && *q <= '9' && len <= VN_MAX_ARCHIVE_PAX; q++)
			len = len * 10 + (size_t)(*q - '0');
		if (q == p || q == end || *q != ' ' || len > (size_t)(end - p) || p + len <= q + 1 || p[len - 1] != '\n')
			return pax_bad(m, offset, err);
		const char *key = q + 1, *stop = p + len - 1;
		const char *equals = memchr(key, '=', (size_t)(stop - key));
		if (!equals)
			return pax_bad(m, offset, err);
		int rc = pax_record(m, offset, key, (size_t)(equals - key), equals + 1, (size_t)(stop - equals - 1), a, err);
		if (rc < 0)
			return rc;
		p += len;
	}
	return 0;
}

static int read_ahead(const struct vn_members *m, uint64_t offset, uint64_t size, char type, struct ahead *a, struct vn_err *err)
{
	VN_AUTO(vn_buf) body = VN_BUF(VN_MAX_ARCHIVE_PAX + 2);
	int rc = read_body(m, offset, size, type == 'x' ? VN_MAX_ARCHIVE_PAX : VN_MAX_PATH + 1, &body, err);
	if (rc < 0)
		return rc;
	if (type == 'x')
		return parse_pax(m, offset, &body, a, err);
	struct vn_buf *text = type == 'L' ? &a->path : &a->link;
	*(type == 'L' ? &a->has_path : &a->has_link) = true;
	vn_buf_clear(text);
	return vn_buf_adds(text, vn_buf_text(&body), err);
}

/* ---- members */
static int header_name(const uint8_t h[BLOCK], const struct ahead *a, struct vn_buf *ret, struct vn_err *err)
{
	if (a->has_path)
		return vn_buf_add(ret, vn_buf_text(&a->path), a->path.len, err);
	int rc = 0;
	if (!memcmp(h + 257, "ustar\0", 6) && h[345]) {
		rc = vn_buf_add(ret, h + 345, strnlen((const char *)h + 345, 155), err);
		if (rc == 0)
			rc = vn_buf_adds(ret, "/", err);
	}
	return rc < 0 ? rc : vn_buf_add(ret, h, strnlen((const char *)h, 100), err);
}

static int clean_name(const struct vn_members *m, const char *raw, struct vn_buf *ret, struct vn_err *err)
{
	if (raw[0] == '/')
		return vn_fail(err, VN_EUNSAFE, "%s: the member name \"%.200s\" is absolute", m->name, raw);
	int rc = vn_path_clean(raw, ret, err);
	return rc < 0 ? vn_wrap(err, "%s", m->name) : 0;
}

static int add_member(struct vn_members *m, const uint8_t h[BLOCK], const struct ahead *a, uint64_t offset, uint64_t size,
		      struct vn_err *err)
{
	VN_AUTO(vn_buf) raw = VN_BUF(VN_MAX_ARCHIVE_PAX), name = VN_BUF(VN_MAX_PATH + 1);
	char type = (char)h[156];
	bool link = type == '1' || type == '2';
	int rc = header_name(h, a, &raw, err);
	if (rc == 0)
		rc = clean_name(m, vn_buf_text(&raw), &name, err);
	if (rc < 0)
		return rc;
	if (!link && type != 0 && type != '0' && type != '7' && type != 'S')
		return 0;
	if (m->n >= VN_MAX_ARCHIVE_MEMBERS)
		return vn_fail(err, VN_ELIMIT, "%s has more than %d members", m->name, VN_MAX_ARCHIVE_MEMBERS);
	rc = vn_grow(&m->at, &m->cap, m->n + 1, sizeof(*m->at), err);
	if (rc < 0)
		return rc;
	struct vn_member *x = &m->at[m->n];
	*x = (struct vn_member){ .offset = offset, .size = size, .hard = type == '1', .sparse = a->sparse || type == 'S',
				 .order = (uint32_t)m->n };
	if (link && a->has_link) {
		rc = vn_strdup(vn_buf_text(&a->link), &x->link, err);
	} else if (link) {
		x->link = strndup((const char *)h + 157, 100);
		rc = x->link ? 0 : vn_nomem(err);
	}
	if (rc == 0)
		rc = vn_strdup(vn_buf_text(&name), &x->name, err);
	if (rc < 0) {
		free(x->link);
		return rc;
	}
	m->n++;
	return 0;
}

static bool carries_data(char type)
{
	return type < '1' || type > '6';
}

static int not_a_tar(const struct vn_members *m, uint64_t offset, struct vn_err *err)
{
	if (offset)
		return vn_fail(err, VN_EFORMAT, "%s: no tar header where one is expected, at byte %llu", m->name,
			       (unsigned long long)offset);
	vn_fail(err, VN_EFORMAT, "%s is not a tar archive", m->name);
	return vn_hint(err, "expected what `docker save`, `podman save` or `skopeo copy` writes");
}

/* One header at *offset: *offset moves behind what belongs to it. */
static int scan_header(struct vn_members *m, const uint8_t h[BLOCK], struct ahead *a, uint64_t *offset, struct vn_err *err)
{
	uint64_t size = 0, body = *offset + BLOCK;
	char type = (char)h[156];
	if (!checksum_fits(h) || !parse_number(h + 124, 12, &size))
		return not_a_tar(m, *offset, err);
	bool about_next = type == 'x' || type == 'L' || type == 'K';
	if (!about_next && type != 'g' && a->has_size)
		size = a->size;
	if (!carries_data(type))
		size = 0;
	uint64_t padded = size > UINT64_MAX - BLOCK ? UINT64_MAX : (size + BLOCK - 1) / BLOCK * BLOCK;
	if (size > m->size - body)
		return truncated(m, *offset, size, err);
	int rc = 0;
	if (about_next) {
		rc = read_ahead(m, body, size, type, a, err);
	} else if (type != 'g') {
		rc = add_member(m, h, a, body, size, err);
		ahead_clear(a);
	}
	/* the padding of the very last member may be missing */
	*offset = padded > m->size - body ? m->size : body + padded;
	return rc;
}

static int by_name(const void *a, const void *b)
{
	const struct vn_member *x = a, *y = b;
	int c = strcmp(x->name, y->name);
	return c ? c : (x->order > y->order) - (x->order < y->order);
}

static int scan(struct vn_members *m, struct vn_err *err)
{
	uint8_t h[BLOCK];
	VN_AUTO(ahead) a = { .path = VN_BUF(VN_MAX_ARCHIVE_PAX), .link = VN_BUF(VN_MAX_ARCHIVE_PAX) };
	uint64_t offset = 0;
	while (offset < m->size) {
		if (m->size - offset < BLOCK)
			return offset ? truncated(m, offset, BLOCK, err) : not_a_tar(m, 0, err);
		int rc = read_at(m, offset, h, BLOCK, err);
		if (rc < 0)
			return rc;
		if (is_zero(h))
			break;
		rc = scan_header(m, h, &a, &offset, err);
		if (rc < 0)
			return rc;
	}
	if (!m->size)
		return not_a_tar(m, 0, err);
	if (m->n)
		qsort(m->at, m->n, sizeof(*m->at), by_name);
	return 0;
}

/* ---- opening */
static bool is_packed(const uint8_t *p, size_t n)
{
	return (n >= 2 && p[0] == 0x1f && (p[1] == 0x8b || p[1] == 0x9d)) || (n >= 4 && !memcmp(p, "\x28\xb5\x2f\xfd", 4)) ||
	       (n >= 6 && !memcmp(p, "\xfd" "7zXZ", 6)) || (n >= 3 && !memcmp(p, "BZh", 3));
}

/* Replaces m->fd with an unnamed file that holds its plain bytes. */
static int spool(struct vn_members *m, const struct vn_events *events, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	VN_AUTO_OUT *out = NULL;
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	int fd = m->fd;
	m->fd = -1;
	int rc = vn_in_fd(fd, m->name, &in, err);
	if (rc == 0 && events)
		rc = vn_in_meter(vn_steal(in), m->name, m->size, events, &in, err);
	if (rc == 0)
		rc = vn_in_inflate(vn_steal(in), 0, m->name, &in, err);
	if (rc == 0)
		rc = vn_tmp_anonymous(&tmp, err);
	if (rc == 0)
		rc = vn_out_fd(tmp.fd, "a temporary file", &out, err);
	if (rc == 0)
		rc = vn_copy(in, out, &m->size, err);
	if (rc < 0)
		return rc;
	m->fd = tmp.fd;
	tmp.fd = -1;
	return 0;
}

static int look(struct vn_members *m, bool *ret_spool, struct vn_err *err)
{
	struct stat st;
	uint8_t head[6];
	if (fstat(m->fd, &st) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot look at %s", m->name);
	if (S_ISDIR(st.st_mode)) {
		vn_fail(err, VN_EFORMAT, "%s is a folder and no archive", m->name);
		return vn_hint(err, "an OCI layout folder is named oci:DIR[:TAG]");
	}
	*ret_spool = !S_ISREG(st.st_mode);
	if (*ret_spool)
		return 0;
	m->size = (uint64_t)st.st_size;
	ssize_t n = pread(m->fd, head, sizeof(head), 0);
	if (n < 0)
		return vn_fail_sys(err, VN_EIO, "cannot read %s", m->name);
	*ret_spool = is_packed(head, (size_t)n);
	return 0;
}

int vn_members_open_fd(int fd, const char *name, const struct vn_events *events, struct vn_members **ret, struct vn_err *err)
{
	bool must_spool = false;
	VN_CLEANUP(vn_members_close_p) struct vn_members *m = calloc(1, sizeof(*m));
	if (!m) {
		close(fd);
		return vn_nomem(err);
	}
	m->fd = fd;
	int rc = vn_strdup(name, &m->name, err);
	if (rc == 0)
		rc = look(m, &must_spool, err);
	if (rc == 0 && must_spool)
		rc = spool(m, events, err);
	if (rc == 0)
		rc = scan(m, err);
	if (rc < 0)
		return rc;
	*ret = vn_steal(m);
	return 0;
}

int vn_members_open(const char *path, const struct vn_events *events, struct vn_members **ret, struct vn_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return vn_members_open_fd(fd, path, events, ret, err);
	if (errno == ENOENT || errno == ENOTDIR)
		return vn_fail(err, VN_ENOTFOUND, "%s does not exist", path);
	return vn_fail_sys(err, VN_EIO, "cannot read %s", path);
}

void vn_members_close(struct vn_members *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++) {
		free(m->at[i].name);
		free(m->at[i].link);
	}
	free(m->at);
	free(m->name);
	if (m->fd >= 0)
		close(m->fd);
	free(m);
}

const char *vn_members_name(const struct vn_members *m)
{
	return m->name;
}

/* ---- finding */
/* The last member of that name: the binary search ends behind it. */
static const struct vn_member *find_exact(const struct vn_members *m, const char *name)
{
	size_t low = 0, high = m->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (strcmp(m->at[mid].name, name) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low && !strcmp(m->at[low - 1].name, name) ? &m->at[low - 1] : NULL;
}

/* `ret` := the path that a symbolic link at `from` with target `to` leads to. */
static int follow(const struct vn_members *m, const char *from, const char *to, struct vn_buf *ret, struct vn_err *err)
{
	const char *slash = strrchr(from, '/');
	int rc = to[0] == '/' ? -VN_EUNSAFE : vn_buf_add(ret, from, slash ? (size_t)(slash - from) : 0, err);
	for (const char *p = to; rc == 0 && *p;) {
		size_t n = strcspn(p, "/");
		if (n == 2 && !memcmp(p, "..", 2)) {
			if (!ret->len) {
				rc = -VN_EUNSAFE;
				break;
			}
			while (ret->len && ret->data[--ret->len] != '/')
				;
			ret->data[ret->len] = 0;
		} else if (n && !(n == 1 && *p == '.')) {
			if (ret->len)
				rc = vn_buf_adds(ret, "/", err);
			if (rc == 0)
				rc = vn_buf_add(ret, p, n, err);
		}
		p += n + (p[n] == '/');
	}
	if (rc == -VN_EUNSAFE)
		return vn_fail(err, VN_EUNSAFE, "%s: the member %s links to \"%.200s\", outside of the archive", m->name, from, to);
	return rc;
}

int vn_members_find(const struct vn_members *m, const char *name, const struct vn_member **ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) at = VN_BUF(VN_MAX_PATH + 1);
	int rc = clean_name(m, name, &at, err);
	for (int hops = 0; rc == 0; hops++) {
		const struct vn_member *x = find_exact(m, vn_buf_text(&at));
		if (!x)
			return vn_fail(err, VN_ENOTFOUND, "%s has no member %s", m->name, vn_buf_text(&at));
		if (x->sparse)
			return vn_fail(err, VN_EFORMAT, "%s: the member %s is a sparse file", m->name, x->name);
		if (!x->link) {
			*ret = x;
			return 0;
		}
		if (hops == MAX_LINK_HOPS)
			return vn_fail(err, VN_EFORMAT, "%s: the link %.300s leads nowhere", m->name, name);
		VN_AUTO(vn_buf) next = VN_BUF(VN_MAX_PATH + 1);
		rc = x->hard ? clean_name(m, x->link, &next, err) : follow(m, x->name, x->link, &next, err);
		if (rc == 0) {
			vn_buf_release(&at);
			at = next;
			next = (struct vn_buf)VN_BUF(0);
		}
	}
	return rc;
}

int vn_members_in(const struct vn_members *m, const struct vn_member *member, struct vn_in **ret, struct vn_err *err)
{
	return vn_in_slice(m->fd, member->offset, member->size, m->name, ret, err);
}

int vn_members_read(const struct vn_members *m, const char *name, struct vn_buf *ret, struct vn_err *err)
{
	const struct vn_member *x;
	int rc = vn_members_find(m, name, &x, err);
	if (rc < 0)
		return rc;
	if (x->size > ret->max - ret->len)
		return vn_fail(err, VN_ELIMIT, "%s: the member %s has %llu bytes, more than %zu", m->name, x->name,
			       (unsigned long long)x->size, ret->max);
	rc = vn_buf_reserve(ret, (size_t)x->size, err);
	if (rc == 0)
		rc = read_at(m, x->offset, ret->data + ret->len, (size_t)x->size, err);
	if (rc < 0)
		return rc;
	ret->len += (size_t)x->size;
	if (ret->data)
		ret->data[ret->len] = 0;
	return 0;
}

ssize_t vn_members_peek(const struct vn_members *m, const struct vn_member *member, void *out, size_t len, struct vn_err *err)
{
	size_t n = member->size < len ? (size_t)member->size : len;
	int rc = read_at(m, member->offset, out, n, err);
	return rc < 0 ? rc : (ssize_t)n;
}
