/* What the parts of engine/tree.h share. */
#ifndef VN_ENGINE_TREE_STATE_H
#define VN_ENGINE_TREE_STATE_H
#include "engine/marks.h"
#include "engine/tree.h"
#include "tar/reader.h"

/* Marks of a path in the present layer. */
enum {
	VN_MARK_OWN = 1 /* the layer describes it */,
	VN_MARK_LEAF = 2 /* and not as a directory */,
	VN_MARK_PARENT = 4 /* it describes something below */,
	VN_MARK_NOTED = 8 /* a directory whose record stands in `dirs` */,
	VN_MARK_CLEARED = 16 /* and which has nothing of lower layers any more */
};

struct vn_tree_dir { /* a directory's mode and time, set when its contents are complete; the last for a path counts */
	size_t path; /* in `names` */
	uint32_t mode, nsec;
	int64_t mtime;
};
struct vn_tree {
	int root; /* borrowed */
	char *place;
	const char *what; /* the layer; the place while none passes */
	const struct vn_events *events;
	bool privileged;
	bool told_owner, told_device, told_foreign, told_refused;
	struct vn_marks *marks;
	struct vn_buf names;
	struct vn_tree_dir *dirs;
	size_t ndirs, dirs_cap;
	int parent;	    /* O_PATH of the directory of the last entry, -1 = none */
	bool parent_marked; /* it and those above have VN_MARK_PARENT */
	struct vn_buf parent_path, scratch;
};

/* `path` is a directory whose mode and time are to be these in the end. */
int vn_tree_note(struct vn_tree *t, const char *path, uint32_t mode, int64_t mtime, uint32_t nsec, struct vn_err *err);
/* Sets what was noted. */
int vn_tree_settle(struct vn_tree *t, struct vn_err *err);

/* ---- one file; `path` is for messages */
bool vn_xattr_kept(const char *name);
/* Owner, extended attributes and mode, in this order, of what fd is. Attributes of the kept kinds that `e` lacks go. */
int vn_tree_attributes(struct vn_tree *t, int fd, const struct vn_tar_entry *e, const char *path, struct vn_err *err);
int vn_tree_times(int fd, int64_t mtime, uint32_t nsec);
/* Symbolic link, device or pipe with its attributes; `name` in the directory `parent` is free. */
int vn_tree_special(struct vn_tree *t, int parent, const char *name, const struct vn_tar_entry *e, struct vn_err *err);
/* The kept extended attributes of fd, sorted by name, over bytes of `room`; VN_MAX_XATTRS at most. free() the list. */
int vn_xattrs_read(int fd, const char *path, struct vn_buf *room, struct vn_xattr **ret, size_t *ret_n, struct vn_err *err);
#endif
