/* Protobuf models beside ONNX: TensorFlow's SavedModel (saved_model.proto, meta_graph.proto) and Core ML (Model.proto). */
#include "model/look.h"
#include "util/limits.h"
#include <string.h>

/* The first length-delimited field `number` of a message; empty when absent. */
static struct vn_bytes member(struct vn_bytes b, uint32_t number)
{
	struct vn_cur c = vn_cur_of(b);
	uint32_t steps = 0;
	for (struct vn_pb f; ++steps <= VN_MAX_MODEL_STEPS && vn_pb_next(&c, &f);)
		if (f.number == number && f.wire == 2)
			return f.bytes;
	return (struct vn_bytes){ b.p, 0 };
}

/* SavedModel 1 saved_model_schema_version, 2 meta_graphs; MetaGraphDef 1 meta_info_def; MetaInfoDef 5 tensorflow_version */
bool vn_look_savedmodel(struct vn_bytes b, struct vn_model_facts *ret)
{
	struct vn_bytes graph = member(b, 2);
	if (!graph.len)
		return false;
	VN_FACT(ret->format, "savedmodel");
	struct vn_bytes version = member(member(graph, 1), 5);
	if (version.len) {
		VN_FACT(ret->detail, "TensorFlow");
		vn_fact_add(ret->detail, sizeof(ret->detail), version);
	}
	return true;
}

/* Model 1 specificationVersion, 2 description, 200 … the one of its types */
bool vn_look_coreml(struct vn_bytes b, struct vn_model_facts *ret)
{
	static const struct {
		uint32_t number;
		const char *name;
	} types[] = {
		{ 200, "pipeline classifier" },
		{ 201, "pipeline regressor" },
		{ 202, "pipeline" },
		{ 300, "GLM regressor" },
		{ 301, "SVM regressor" },
		{ 302, "tree ensemble regressor" },
		{ 303, "neural network regressor" },
		{ 400, "GLM classifier" },
		{ 401, "SVM classifier" },
		{ 402, "tree ensemble classifier" },
		{ 403, "neural network classifier" },
		{ 500, "neural network" },
		{ 502, "ML program" },
	};
	struct vn_cur c = vn_cur_of(b);
	const char *type = NULL;
	bool version = false;
	uint32_t steps = 0;
	for (struct vn_pb f; ++steps <= VN_MAX_MODEL_STEPS && vn_pb_next(&c, &f);) {
		version |= f.number == 1 && f.wire == 0;
		for (size_t i = 0; f.wire == 2 && i < sizeof(types) / sizeof(*types); i++)
			if (f.number == types[i].number)
				type = types[i].name;
	}
	if (!version || !type)
		return false;
	VN_FACT(ret->format, "coreml");
	VN_FACT(ret->detail, type);
	return true;
}
