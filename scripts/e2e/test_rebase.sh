#!/usr/bin/env bash
# The main job: rebase in a registry, pull on a device that holds OLD, the same answers as NEW.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry reg --scene
repo=$(reg reg)/tempanomaly
device_with_old

v diff --format json "$repo:1" "$repo:2"
diff_paths noise >"$run_dir/noise"

wire_mark reg
v rebase --dry-run "$repo:1" "$repo:2" "$repo:iot-2"
status "--dry-run" 0
is "--dry-run writes nothing" "$(writes reg)" 0
is "--dry-run leaves no tag" "$(manifest_digest reg tempanomaly iot-2)" ""

v rebase --format json "$repo:1" "$repo:2" "$repo:iot-2"
status "rebase" 0
is "schema" "$(json .schema)" veneer.rebase/1
is "reported digest is the tag's" "$(rebase_digest)" "$(manifest_digest reg tempanomaly iot-2)"
is "one layer added" "$(rebase_layers)" 1
is "proof: nothing different" "$(rebase_different)" 0
is "OLD's layers first and untouched" \
    "$(layer_digests reg tempanomaly iot-2 | head -n "$(layer_count reg tempanomaly 1)")" \
    "$(layer_digests reg tempanomaly 1)"
is "one layer more than OLD" "$(layer_count reg tempanomaly iot-2)" $(($(layer_count reg tempanomaly 1) + 1))
is "one media type family" "$(manifest reg tempanomaly iot-2 | jq -r '[.mediaType, .config.mediaType, .layers[].mediaType] | map(if test("oci") then "oci" else "docker" end) | unique | join(",")')" docker
first=$(manifest_digest reg tempanomaly iot-2)

wire_mark reg
on device pull -q "$repo:2" >/dev/null
full=$(pulled_bytes reg)
on device rmi "$repo:2" >/dev/null
wire_mark reg
check "docker pull on the device" on device pull -q "$repo:iot-2"
thin=$(pulled_bytes reg)
less "pull on a device with OLD" "$thin" 40000
printf '# pulled %s bytes instead of %s\n' "$thin" "$full"
if [ "$full" -gt 100000000 ]; then ok "a pull of NEW moves $full bytes"; else not_ok "a pull of NEW moves $full bytes"; fi

is "answers exactly as NEW" "$(answers_of device "$repo:iot-2" || true)" "$(scene_answers tempanomaly-2)"
if [ "$(scene_answers tempanomaly-1)" = "$(scene_answers tempanomaly-2)" ]; then
    not_ok "the two models answer differently"
else
    ok "the two models answer differently"
fi
same_tree "the container's tree is NEW's but for the named noise" device "$repo:iot-2" tempanomaly-2 "$run_dir/noise"

v diff "$repo:iot-2" "$repo:2"
status "diff DEST NEW is the same" 0
has "diff DEST NEW says so" "$out" "the same"

v rebase --format json "$repo:1" "$repo:2" "$repo:iot-2"
status "again into the same tag: nothing to move" 0
is "deterministic" "$(rebase_digest)" "$first"
rm -rf "$VENEER_CACHE_DIR"
v rebase --format json "$(oci tempanomaly:1)" "$(oci tempanomaly:2)" "oci:$run_dir/thin:iot-2"
status "rebase of layouts into a layout" 0
layer=$(json '.layers_added[0].digest')
is "the same layer from layouts" "$layer" "$(layer_digests reg tempanomaly iot-2 | tail -n 1)"

v rebase "$repo:1" "$repo:3" "$repo:iot-2"
if [ "$rc" != 0 ] && [ "$(manifest_digest reg tempanomaly iot-2)" = "$first" ]; then
    ok "an existing tag is not moved (exit $rc)"
else
    not_ok "an existing tag is not moved" "exit $rc" "$(what_it_said)"
fi
has "the refusal names --move-tag" "$err" "--move-tag"
v rebase --move-tag "$repo:1" "$repo:3" "$repo:iot-2"
status "--move-tag" 0
if [ "$(manifest_digest reg tempanomaly iot-2)" != "$first" ]; then ok "the tag moved"; else not_ok "the tag moved"; fi

v rebase --format json "$repo@$first" "$repo:3" "$repo:iot-3"
status "rebase onto a thin image" 0
is "thin on thin: no more layers" "$(layer_count reg tempanomaly iot-3)" $(($(layer_count reg tempanomaly 1) + 1))
is "thin on thin: the base's layers" \
    "$(layer_digests reg tempanomaly iot-3 | head -n "$(layer_count reg tempanomaly 1)")" \
    "$(layer_digests reg tempanomaly 1)"
is "thin on thin: base annotation or label is OLD's" \
    "$(manifest reg tempanomaly iot-3 | jq -r '.annotations["org.opencontainers.image.base.digest"] // "none"')" \
    "$(manifest reg tempanomaly iot-2 | jq -r '.annotations["org.opencontainers.image.base.digest"] // "none"')"
wire_mark reg
check "docker pull of the next one" on device pull -q "$repo:iot-3"
less "next pull" "$(pulled_bytes reg)" 40000
is "answers exactly as :3" "$(answers_of device "$repo:iot-3" || true)" "$(scene_answers tempanomaly-3)"

v rebase --mode paths --format json "$repo:1" "$repo:2" "$repo:paths-2"
status "paths mode when only the model changed" 0
check "paths mode: docker pull" on device pull -q "$repo:paths-2"
is "paths mode: answers exactly as NEW" "$(answers_of device "$repo:paths-2" || true)" "$(scene_answers tempanomaly-2)"

v rebase --split --format json "$repo:1" "$repo:2" "$repo:split-2"
status "--split" 0
v diff "$repo:split-2" "$repo:2"
status "--split: the same as NEW" 0

v rebase "$repo@$(scene_digest tempanomaly:1)" "$repo:2" "$repo:by-digest"
status "OLD by digest" 0
is "OLD by digest: same layer" "$(layer_digests reg tempanomaly by-digest | tail -n 1)" "$layer"

v rebase "$repo:1" "$repo:1" "$repo:none"
printf '# OLD equal to NEW: exit %s, %s\n' "$rc" "$(head -c 200 "$out" "$err" | tr '\n' ' ')"
