#include "api/context.h"
#include <string.h>

int vn_login(struct vn *vn, const char *registry, const char *username, const char *password, char **ret_where, struct vn_err *err)
{
	return vn_registry_login(registry, username, password, &vn->registry, vn_listeners(vn), ret_where, err);
}

int vn_logout(struct vn *vn, const char *registry, char **ret_where, struct vn_err *err)
{
	return vn_registry_logout(registry, &vn->registry, vn_listeners(vn), ret_where, err);
}
