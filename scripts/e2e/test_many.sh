#!/usr/bin/env bash
# 100,000 small files, of which three change.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry reg --scene
repo=$(reg reg)/many
model=var/azureml-app/azureml-models/model.pkl
v diff --format json "$repo:1" "$repo:2"
status "diff" 1
is "finds the three and the model" "$(diff_paths model score dependency config noise other)" \
    "$(printf '%s\n' many/d7/f7 many/d8/f8 many/d9/extra $model | sort)"
v rebase --format json "$repo:1" "$repo:2" "$repo:thin"
status "rebase" 0
is "nothing different" "$(rebase_different)" 0
less "size of the layer" "$(rebase_layer_bytes)" 200000
start_dockerd small
on small pull -q "$repo:1" >/dev/null
check "docker pull" on small pull -q "$repo:thin"
same_tree "the tree is NEW's" small "$repo:thin" many-2
v diff "$repo:thin" "$repo:2"
status "diff DEST NEW is the same" 0
