#!/usr/bin/env bash
# veneer diff on the reference scene: the model, and build noise by named rules, nothing else.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

model=var/azureml-app/azureml-models/model.pkl
start_registry reg --scene
old=$(reg reg)/tempanomaly:1
new=$(reg reg)/tempanomaly:2

# What differs, found without veneer: the trees of two containers.
tree_diff "$(scene_tree tempanomaly-1)" "$(scene_tree tempanomaly-2)" | sort >"$run_dir/differing"
grep -vx "$model" "$run_dir/differing" >"$run_dir/expected-noise"
# What a pull would move, found without veneer: layers of NEW that OLD does not have.
layer_digests reg tempanomaly 1 | sort >"$run_dir/old-layers"
pull=$(manifest reg tempanomaly 2 | jq --rawfile old "$run_dir/old-layers" \
    '($old | split("\n")) as $o | [.layers[] | select(.digest as $d | $o | index($d) | not) | .size] | add')

v diff --format json "$old" "$new"
status "registry: differs is exit 1" 1
is "schema" "$(json .schema)" veneer.diff/1
is "not the same" "$(diff_same)" false
is "the model, and only the model" "$(diff_paths model)" "$model"
is "nothing in score, dependency, config or other" "$(diff_paths score dependency config other)" ""
is "no package changed" "$(diff_packages)" ""
is "noise is exactly what differs otherwise" "$(diff_paths noise)" "$(cat "$run_dir/expected-noise")"
hasnt "every noise file has its rule" <(diff_rules) NONE
is "bytes of a pull" "$(diff_pull_bytes)" "$pull"
is "digest of OLD" "$(json .old.digest)" "$(scene_digest tempanomaly:1)"
is "digest of NEW" "$(json .new.digest)" "$(scene_digest tempanomaly:2)"
is "one shared layer" "$(json '[.layers[] | select(.in == "both")] | length')" 1
is "five rebuilt layers" "$(json '[.layers[] | select(.in == "new")] | length')" 5
cp "$out" "$run_dir/first.json"

wire_mark reg
v diff --format json "$old" "$new"
is "warm cache: no blob is fetched again" "$(blob_gets reg)" 0
is "warm cache: same answer" "$(json 'del(.old.reference, .new.reference)' | sha256sum)" \
    "$(jq -r 'del(.old.reference, .new.reference)' "$run_dir/first.json" | sha256sum)"

v diff "$old" "$new"
status "text: exit 1" 1
has "text names the model" "$out" "$model"
while read -r rule; do
    has "text names rule $rule" "$out" "$rule"
done < <(jq -r '.files[] | select(.class == "noise") | .rule' "$run_dir/first.json" | sort -u)
v diff --files "$old" "$new"
has "--files lists the noise" "$out" "$(head -n 1 "$run_dir/expected-noise")"

v diff --format json "${old%:*}@$(scene_digest tempanomaly:1)" "${new%:*}@$(scene_digest tempanomaly:2)"
is "by digest: the same model" "$(diff_paths model)" "$model"
v diff --format json --class model "$old" "$new"
is "--class model" "$(json '[.files[].class] | unique | join(",")')" model
v diff --format json --path '**/azureml-models/**' "$old" "$new"
is "--path" "$(json '[.files[] | select(.class != "metadata") | .path | ltrimstr("/")] | join(",")')" "$model"

v diff "$old" "$old"
status "OLD equal to NEW is exit 0" 0
v diff --format json "$old" "$old"
is "identical" "$(json .identical)" true

rm -rf "$VENEER_CACHE_DIR"
wire_mark reg
v diff --format json "$(oci tempanomaly:1)" "$(oci tempanomaly:2)"
status "OCI layouts: exit 1" 1
is "OCI layouts: the model, and only the model" "$(diff_paths model)" "$model"
is "OCI layouts: noise" "$(diff_paths noise)" "$(cat "$run_dir/expected-noise")"
v diff --format json "$(oci tempanomaly:1)" "$new"
is "layout against registry: the model" "$(diff_paths model)" "$model"
