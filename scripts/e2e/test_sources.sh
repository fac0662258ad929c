#!/usr/bin/env bash
# Every place an image is kept: engine, archives, layouts; read back by other programs.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry reg --scene
start_dockerd small
export DOCKER_HOST=unix://$run_dir/small/sock
repo=$(reg reg)/kinds
docker pull -q "$repo:1" >/dev/null
docker pull -q "$repo:2" >/dev/null
docker tag "$repo:1" kinds:1
docker tag "$repo:2" kinds:2
docker save -o "$run_dir/save.tar" kinds:1 kinds:2
skopeo --insecure-policy copy --quiet --src-tls-verify=false "docker://$repo:2" "oci-archive:$run_dir/oci.tar:2" >/dev/null
v diff --format json "$repo:1" "$repo:2"
want=$(diff_paths model score dependency config noise other)
want_model=$(diff_paths model)

differs() {
    v diff --format json "$2" "$3"
    status "$1" 1
    is "$1: same files" "$(diff_paths model score dependency config noise other)" "$want"
    is "$1: same model" "$(diff_paths model)" "$want_model"
}
differs "docker-daemon:" docker-daemon:kinds:1 docker-daemon:kinds:2
differs "docker-archive:" "docker-archive:$run_dir/save.tar:kinds:1" "docker-archive:$run_dir/save.tar:kinds:2"
differs "oci: against oci-archive:" "$(oci kinds:1)" "oci-archive:$run_dir/oci.tar:2"
differs "registry against docker-daemon:" "$repo:1" docker-daemon:kinds:2
differs "docker://" "docker://$repo:1" "docker://$repo:2"
v diff "docker-daemon:kinds:2" "$repo:2"
status "an image is the same in engine and registry" 0

# Other compressors: the same content under other digests.
skopeo --insecure-policy copy --quiet --dest-compress-format zstd "docker-archive:$run_dir/save.tar:kinds:2" "oci:$run_dir/zstd:2" >/dev/null
is "the scene's zstd layers" "$(jq -r '[.layers[].mediaType] | unique | join(",")' \
    "$run_dir/zstd/blobs/sha256/$(jq -r '.manifests[0].digest' "$run_dir/zstd/index.json" | cut -d: -f2)")" \
    application/vnd.oci.image.layer.v1.tar+zstd
differs "gzip against zstd" "$repo:1" "oci:$run_dir/zstd:2"
v diff "oci:$run_dir/zstd:2" "$repo:2"
status "zstd and gzip of one image are the same" 0

thin() {
    v rebase --larger "$2" "$3" "$4"
    status "$1" 0
    v diff "$4" "$repo:2"
    status "$1: the same as NEW" 0
}
thin "rebase into oci-archive:" "$repo:1" "$repo:2" "oci-archive:$run_dir/thin-oci.tar:thin"
check "skopeo reads the oci-archive" skopeo --insecure-policy copy --quiet "oci-archive:$run_dir/thin-oci.tar:thin" "dir:$run_dir/read1"
thin "rebase into docker-archive:" "$repo:1" "$repo:2" "docker-archive:$run_dir/thin-docker.tar:kinds:thin"
check "skopeo reads the docker-archive" skopeo --insecure-policy copy --quiet "docker-archive:$run_dir/thin-docker.tar" "dir:$run_dir/read2"
check "docker load reads the docker-archive" docker load -q -i "$run_dir/thin-docker.tar"
v diff --format json "$repo:1" "$repo:2"
diff_paths noise >"$run_dir/noise"
same_tree "docker load: the tree is NEW's" small kinds:thin kinds-2 "$run_dir/noise"
thin "rebase into oci:" docker-daemon:kinds:1 docker-daemon:kinds:2 "oci:$run_dir/thin:2"
check "skopeo reads the layout" skopeo --insecure-policy copy --quiet "oci:$run_dir/thin:2" "dir:$run_dir/read3"
thin "rebase into docker-daemon:" "$repo:1" "$repo:2" docker-daemon:kinds:thin2
same_tree "docker-daemon: the tree is NEW's" small kinds:thin2 kinds-2 "$run_dir/noise"
thin "rebase from layouts into the registry" "$(oci kinds:1)" "$(oci kinds:2)" "$repo:thin3"

copied() {
    v copy "$2" "$3"
    status "copy $1" 0
    v diff "$3" "$repo:2"
    status "copy $1: the same" 0
}
copied "registry to oci:" "$repo:2" "oci:$run_dir/c1:2"
is "copy keeps the layers' digests" \
    "$(jq -r '.layers[].digest' "$run_dir/c1/blobs/sha256/$(jq -r '.manifests[0].digest' "$run_dir/c1/index.json" | cut -d: -f2)")" \
    "$(layer_digests reg kinds 2)"
copied "registry to oci-archive:" "$repo:2" "oci-archive:$run_dir/c2.tar:2"
copied "registry to docker-archive:" "$repo:2" "docker-archive:$run_dir/c3.tar:kinds:c3"
check "docker load of the copy" docker load -q -i "$run_dir/c3.tar"
copied "docker-archive: to oci:" "docker-archive:$run_dir/save.tar:kinds:2" "oci:$run_dir/c4:2"
copied "oci: to registry" "$(oci kinds:2)" "$(reg reg)/copied/kinds:2"
copied "docker-daemon: to registry" docker-daemon:kinds:2 "$(reg reg)/copied/kinds:daemon"
copied "oci-archive: to docker-daemon:" "oci-archive:$run_dir/oci.tar:2" docker-daemon:kinds:c5
same_tree "copy into the engine: the tree" small kinds:c5 kinds-2

for ref in "$repo:2" "$(oci kinds:2)" "oci-archive:$run_dir/oci.tar:2" "docker-archive:$run_dir/save.tar:kinds:2" docker-daemon:kinds:2; do
    v inspect --format json "$ref"
    status "inspect ${ref%%:*}" 0
    check "inspect ${ref%%:*}: JSON" jq -e . "$out"
done

v diff "oci:$run_dir/no-such:1" "$repo:2"
status "no such layout" 3
v diff docker-daemon:no-such:1 "$repo:2"
status "no such image in the engine" 3
v diff "$repo:no-such" "$repo:2"
status "no such tag" 3
has "no such tag: named" "$err" no-such
stop_dockerd small
v diff docker-daemon:kinds:1 "$repo:2"
if [ "$rc" = 3 ] || [ "$rc" = 5 ]; then ok "no engine (exit $rc)"; else not_ok "no engine" "exit $rc"; fi
