#!/usr/bin/env bash
# Deltas beside the image in its registry: pushed, listed, found by their tag, applied.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry reg
repo=$(reg reg)/app
(
    cd "$run_dir"
    "$tree_dir/testdata/cli/models.py"
    "$tree_dir/scripts/mkimage" img <"$tree_dir/testdata/cli/delta.image"
)
for tag in 1 2 alien; do
    v copy "oci:$run_dir/img:$tag" "$repo:$tag"
    status "image $tag is there" 0
done

v delta push --from "$repo:1" "$repo:2"
status "push of one delta" 0
has "it is said where it is" "$out" "$repo:delta-"
old=$(manifest_digest reg app 1)
new=$(manifest_digest reg app 2)
tag=delta-$(printf '%s\n%s' "$old" "$new" | sha256sum | cut -c 1-32)
artifact=$(manifest_digest reg app "$tag")
is "the tag can be computed" "$(manifest reg app "$tag" | jq -r .artifactType)" \
    application/vnd.io.github.containers.oci-delta.v1
is "its subject is NEW" "$(manifest reg app "$tag" | jq -r .subject.digest)" "$new"
is "the fallback tag lists it" "$(manifest reg app "${new/:/-}" | jq -r '.manifests[].digest')" "$artifact"

v delta show --format json "$repo:2"
status "deltas of an image are listed" 0
is "with their source" "$(jq -r '.deltas[].old.digest' "$out")" "$old"
v delta show --format json "$repo:1"
is "an image without any has none" "$(jq -r '.deltas | length' "$out")" 0
v delta show "$repo:$tag"
status "one of them is shown" 0

v delta apply -o "oci:$run_dir/made:2" "oci:$run_dir/img:1" "$repo:$tag"
status "applied to a layout" 0
is "digest for digest" "$("$tree_dir/scripts/mkimage" --digest "$run_dir/made" 2)" "$new"
v delta apply -o "$repo:made" "$repo:1" "$repo:$tag"
status "applied in the registry" 0
is "digest for digest there" "$(manifest_digest reg app made)" "$new"
v delta apply "$repo:alien" "$repo:$tag"
status "not to another image" 4

wire_mark reg
v delta push --from "$repo:1" "$repo:2"
status "push again" 0
is "the same artifact again" "$(manifest_digest reg app "$tag")" "$artifact"
v delta push --from "$repo:1" --from "$repo:alien" --from "$repo:2" --format json "$repo:2"
status "from several releases at once" 0
is "from NEW itself there is none" "$(jq -r '[.deltas[].written] | @text' "$out")" "[true,true,false]"
is "the others are listed" "$(manifest reg app "${new/:/-}" | jq '.manifests | length')" 2

v delta push --from "$repo:nope" "$repo:2"
status "from a release that is not there" 3
has "and that is said" "$err" "has no tag \"nope\""
v copy "oci:$run_dir/img:arm" "$repo:arm"
v delta push --from "$repo:arm" "$repo:2"
status "from an image for another platform" 0
has "none is made" "$out" "OLD has no image for this platform"

v delta make -o "$run_dir/d.oci" "$repo:1" "$repo:2"
status "made into a file" 0
v delta push --delta "$run_dir/d.oci" "$(reg reg)/other"
status "and pushed elsewhere" 0
is "under the same tag" "$(manifest_digest reg other "$tag")" "$artifact"
