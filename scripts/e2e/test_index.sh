#!/usr/bin/env bash
# An index of two architectures is rebased per platform.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry reg --scene
repo=$(reg reg)/multi
platforms() {
    manifest reg multi "$1" | jq -r '(.manifests // [])[] | "\(.platform.os)/\(.platform.architecture)"' | sort | paste -sd' '
}
is "the scene's index" "$(platforms 1)" "linux/amd64 linux/arm64"
v rebase --larger --format json "$repo:1" "$repo:2" "$repo:thin"
status "rebase of an index" 0
is "the result is an index of the same platforms" "$(platforms thin)" "linux/amd64 linux/arm64"
for arch in amd64 arm64; do
    digest=$(manifest reg multi thin | jq -r --arg a $arch '.manifests[] | select(.platform.architecture == $a) | .digest')
    old=$(manifest reg multi 1 | jq -r --arg a $arch '.manifests[] | select(.platform.architecture == $a) | .digest')
    n=$(layer_count reg multi "$old")
    is "$arch: OLD's layers first" "$(layer_digests reg multi "$digest" | head -n "$n")" "$(layer_digests reg multi "$old")"
    is "$arch: one layer added" "$(layer_count reg multi "$digest")" $((n + 1))
    is "$arch: configuration says so" \
        "$(blob reg multi "$(manifest reg multi "$digest" | jq -r .config.digest)" | jq -r .architecture)" $arch
    v diff --platform linux/$arch "$repo:thin" "$repo:2"
    status "$arch: diff DEST NEW is the same" 0
done
check "skopeo reads the index" skopeo --insecure-policy copy --quiet --all --src-tls-verify=false \
    "docker://$repo:thin" "oci:$run_dir/copy:thin"

v rebase --larger --platform linux/arm64 --format json "$repo:1" "$repo:2" "$repo:arm"
status "--platform: one image" 0
v rebase --larger --platform linux/riscv64 "$repo:1" "$repo:2" "$repo:none"
if [ "$rc" != 0 ]; then ok "a platform that is not there (exit $rc)"; else not_ok "a platform that is not there"; fi
cat "$out" "$err" >"$run_dir/both"
has "says which are there" "$run_dir/both" linux/arm64
is "leaves no tag" "$(manifest_digest reg multi none)" ""

index=$(manifest_digest reg multi 1)
v rebase --larger "$repo@$index" "$repo:2" "$repo:thin-by-digest"
status "an index given by digest" 0
is "an index given by digest: same platforms" "$(platforms thin-by-digest)" "linux/amd64 linux/arm64"

start_dockerd small
check "docker pull of the index" on small pull -q "$repo:thin"
is "docker runs it" "$(on small run --rm --network=none "$repo:thin" /bin/cat /etc/arch)" amd64

v diff --platform linux/arm64 "$(oci multi:1)" "$(oci multi:2)"
status "index in an OCI layout" 1
v rebase --larger "$(oci multi:1)" "$(oci multi:2)" "oci:$run_dir/thin:2"
status "index from layout to layout" 0
