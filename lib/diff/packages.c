#include "diff/packages.h"
#include "util/buf.h"
#include <stdlib.h>
#include <string.h>

static int by_name(const struct vn_found_package *a, const struct vn_found_package *b)
{
	int order = strcmp(a->manager, b->manager);
	if (!order)
		order = strcmp(a->name, b->name);
	return order ? order : strcmp(a->arch, b->arch);
}

static int by_all(const void *x, const void *y)
{
	const struct vn_found_package *a = x, *b = y;
	int order = by_name(a, b);
	return order ? order : strcmp(a->version, b->version);
}

/* What both have is no change, also where several versions are installed side by side. */
static void drop_common(struct vn_package_list *a, struct vn_package_list *b)
{
	size_t i = 0, j = 0, na = 0, nb = 0;
	while (i < a->n || j < b->n) {
		int order = i == a->n ? 1 : j == b->n ? -1 : by_all(&a->list[i], &b->list[j]);
		if (order < 0)
			a->list[na++] = a->list[i];
		if (order > 0)
			b->list[nb++] = b->list[j];
		i += order <= 0;
		j += order >= 0;
	}
	a->n = na;
	b->n = nb;
}

int vn_packages_compare(struct vn_package_list *old_list, struct vn_package_list *new_list, struct vn_package_change **ret,
			size_t *ret_n, struct vn_err *err)
{
	struct vn_package_change *list = NULL;
	size_t n = 0, cap = 0, i = 0, j = 0;
	if (old_list->n)
		qsort(old_list->list, old_list->n, sizeof(*old_list->list), by_all);
	if (new_list->n)
		qsort(new_list->list, new_list->n, sizeof(*new_list->list), by_all);
	drop_common(old_list, new_list);
	while (i < old_list->n || j < new_list->n) {
		const struct vn_found_package *a = i < old_list->n ? &old_list->list[i] : NULL;
		const struct vn_found_package *b = j < new_list->n ? &new_list->list[j] : NULL;
		int order = !a ? 1 : !b ? -1 : by_name(a, b);
		i += order <= 0;
		j += order >= 0;
		int r = vn_grow(&list, &cap, n + 1, sizeof(*list), err);
		if (r < 0) {
			free(list);
			return r;
		}
		const struct vn_found_package *any = order <= 0 ? a : b;
		list[n++] = (struct vn_package_change){ any->manager, any->name, any->arch, order <= 0 ? a->version : NULL,
							order >= 0 ? b->version : NULL };
	}
	*ret = list;
	*ret_n = n;
	return 0;
}
