#!/usr/bin/env bash
# The world itself, without veneer: the scene is what it says, and the article's multi-stage build is the peer.
# shellcheck disable=SC2034
without_veneer=1
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry reg --scene
repo=$(reg reg)/tempanomaly
is "the trees of :1 and :2 differ in eight files" "$(tree_diff "$(scene_tree tempanomaly-1)" "$(scene_tree tempanomaly-2)" | wc -l)" 8
is "only the base layer is shared" \
    "$(comm -12 <(layer_digests reg tempanomaly 1 | sort) <(layer_digests reg tempanomaly 2 | sort) | wc -l)" 1
is "capability in the scene" "$(zcat "$(scene_tree kinds-2)" | grep -c '^k/capable.*security.capability=')" 2
is "hardlinks in the scene" "$(zcat "$(scene_tree kinds-2)" | grep -c ' k/g1$')" 3
if [ "$(zcat "$(scene_tree many-1)" | grep -c '^many/')" -gt 100000 ]; then ok "100,000 small files"; else not_ok "100,000 small files"; fi
is "index of two platforms" "$(manifest reg multi 2 | jq '.manifests | length')" 2

device_with_old
is "answers of OLD" "$(answers_of device device-old:1)" "$(scene_answers tempanomaly-1)"
wire_mark reg
on device pull -q "$repo:2" >/dev/null
full=$(pulled_bytes reg)
if [ "$full" -gt 390000000 ]; then ok "a pull of NEW moves $full bytes"; else not_ok "a pull of NEW moves $full bytes"; fi
is "answers of NEW" "$(answers_of device "$repo:2")" "$(scene_answers tempanomaly-2)"
on device build -q --no-cache -f "$e2e_dir/scene/Dockerfile.article" --build-arg OLD=device-old:1 \
    --build-arg "NEW=$repo:2" -t "$repo:article" "$e2e_dir/scene" >/dev/null 2>&1
on device push -q "$repo:article" >/dev/null
on device rmi "$repo:article" "$repo:2" >/dev/null
wire_mark reg
on device pull -q "$repo:article" >/dev/null
less "the article's image: bytes pulled" "$(pulled_bytes reg)" 40000
is "the article's image answers as NEW" "$(answers_of device "$repo:article")" "$(scene_answers tempanomaly-2)"
