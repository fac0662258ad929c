#!/usr/bin/env bash
# Adds a model of 6 kB to the reference scene: tempanomaly:small-1 on the layers of tempanomaly:1, small-2 and small-3 on the
# rebuilt ones of tempanomaly:2, and small-article, the hand-written image of small-2's model for devices with small-1.
# Built once beside the scene, again only when the scene or its own files change.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/scene.sh"
# shellcheck source=scripts/e2e/world.sh
. "$here/world.sh"
need_root "$@"

exec 9>"$world_dir/lock"
flock 9
hash=$(cd "$here" && cat small.sh small/* scene/Dockerfile.article scene/inputs "$world_dir/scene.manifest" | sha256sum | cut -c1-64)
list=$world_dir/small.manifest
if [ -e "$list" ] && [ "$(head -n1 "$list")" = "small $hash" ]; then
    exit 0
fi
rm -rf "$list" "$world_dir/small"
world_open
start_dockerd ci --data "$world_dir/ci"
start_registry reg --scene --storage "$world_dir/small"

build() {
    local tag=$1
    shift
    say "scene: build tempanomaly:$tag"
    on ci build --quiet --no-cache -t "$(reg reg)/tempanomaly:$tag" "$@" >"$run_dir/build.log" 2>&1 || {
        tail -n 40 "$run_dir/build.log" >&2
        die "docker build of tempanomaly:$tag failed"
    }
    on ci push --quiet "$(reg reg)/tempanomaly:$tag" >/dev/null
    printf 'tempanomaly:%s %s\n' "$tag" "$(manifest_digest reg tempanomaly "$tag")" >>"$run_dir/manifest"
}
for version in 1 2 3; do
    dir=$run_dir/small$version
    mkdir -p "$dir"
    on ci run --rm --network=none -v "$dir:/out" -v "$here/small/train.py:/train.py:ro" e2e-train \
        python3 /train.py $version /out/model.pkl
    build small-$version -f "$here/small/Dockerfile" --build-arg BASE=tempanomaly:$((version < 2 ? version : 2)) "$dir"
    on ci run --rm -i --network=none "$(reg reg)/tempanomaly:small-$version" python3 /var/azureml-app/iot_score.py \
        <"$here/scene/inputs" >"$world_dir/answers/tempanomaly-small-$version"
done
build small-article -f "$here/scene/Dockerfile.article" --build-arg OLD="$(reg reg)/tempanomaly:small-1" \
    --build-arg NEW="$(reg reg)/tempanomaly:small-2" "$here/scene"
# a container that was run with --rm may still be on its way out
for tag in 1 2 3 article; do on ci rmi -f "$(reg reg)/tempanomaly:small-$tag" >/dev/null; done
{
    printf 'small %s\n' "$hash"
    cat "$run_dir/manifest"
} >"$list.new"
mv "$list.new" "$list"
