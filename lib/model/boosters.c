/* Gradient boosting libraries' own files: XGBoost JSON and UBJSON, LightGBM text, CatBoost. The texts are long and the facts
 * stand at the ends, so they are searched there and not parsed. */
#include "model/look.h"
#include <string.h>

#define ENDS 65536 /* bytes of each end that are searched */
#define UBJ_LEARNER "{L\0\0\0\0\0\0\0\7learner"

static struct vn_bytes first(struct vn_bytes b)
{
	return (struct vn_bytes){ b.p, b.len < ENDS ? b.len : ENDS };
}

static struct vn_bytes last(struct vn_bytes b)
{
	size_t skip = b.len < ENDS ? 0 : b.len - ENDS;
	return (struct vn_bytes){ b.p + skip, b.len - skip };
}

/* The text between the last byte of `before` and any byte of `until`; empty when `before` is not there. */
static struct vn_bytes after(struct vn_bytes b, const char *before, const char *until)
{
	size_t at = vn_bytes_find(b, before), len = 0;
	if (at == b.len)
		return (struct vn_bytes){ b.p, 0 };
	at += strlen(before);
	while (at + len < b.len && b.p[at + len] && !strchr(until, b.p[at + len]))
		len++;
	return vn_bytes_at(b, at, len);
}

/* "version":[1,7,3] stands at the end of the document */
static void xgboost_version(struct vn_bytes b, struct vn_model_facts *ret)
{
	struct vn_bytes v = after(last(b), "\"version\":[", "]");
	char text[24] = "";
	size_t n = 0;
	for (size_t i = 0; i < v.len && n + 1 < sizeof(text); i++)
		if (v.p[i] != ' ')
			text[n++] = v.p[i] == ',' ? '.' : (char)v.p[i];
	vn_fact_adds(ret->detail, sizeof(ret->detail), text);
}

bool vn_look_xgboost(struct vn_bytes b, struct vn_model_facts *ret)
{
	if (vn_bytes_start(b, UBJ_LEARNER, sizeof(UBJ_LEARNER) - 1)) {
		VN_FACT(ret->format, "xgboost-ubj");
		VN_FACT(ret->detail, "XGBoost");
		return true;
	}
	struct vn_bytes head = first(b);
	if (!vn_bytes_start(b, "{\"learner\":{", 12) && !vn_bytes_start(b, "{\"version\":[", 12))
		return false;
	if (vn_bytes_find(head, "\"learner\"") == head.len || vn_bytes_find(head, "{\"") != 0)
		return false;
	VN_FACT(ret->format, "xgboost-json");
	VN_FACT(ret->detail, "XGBoost");
	xgboost_version(b, ret);
	vn_fact_add(ret->detail, sizeof(ret->detail), after(last(b), "\"objective\":{\"name\":\"", "\""));
	return true;
}

bool vn_look_lightgbm(struct vn_bytes b, struct vn_model_facts *ret)
{
	if (!vn_bytes_start(b, "tree\nversion=v", 14) && !vn_bytes_start(b, "tree\r\nversion=v", 15))
		return false;
	VN_FACT(ret->format, "lightgbm");
	VN_FACT(ret->detail, "LightGBM");
	vn_fact_add(ret->detail, sizeof(ret->detail), after(first(b), "\nversion=", "\r\n"));
	vn_fact_add(ret->detail, sizeof(ret->detail), after(first(b), "\nobjective=", " \r\n"));
	return true;
}

bool vn_look_catboost(struct vn_bytes b, struct vn_model_facts *ret)
{
	if (!vn_bytes_start(b, "CBM1", 4))
		return false;
	VN_FACT(ret->format, "catboost");
	VN_FACT(ret->detail, "CatBoost");
	return true;
}
