#!/usr/bin/env bash
# Builds the reference scene once into the world folder: images, registry storage, OCI layouts,
# the trees and the answers of the containers. Built again only when its own files change.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/e2e/world.sh
. "$here/world.sh"
need_root "$@"

hash=$(cd "$here" && sha256sum scene.sh scene/* tree.py multiarch.py | sha256sum | cut -c1-64)
list=$world_dir/scene.manifest

mkdir -p "$world_dir"
exec 9>"$world_dir/lock"
flock 9
if [ -e "$list" ] && [ "$(head -n1 "$list")" = "scene $hash" ]; then
    exit 0
fi

started=$SECONDS
step() { printf 'scene %4ds  %s\n' $((SECONDS - started)) "$*" >&2; }

"$tree_dir/scripts/install-packages" e2e
rm -rf "$list" "$world_dir/device" "$world_dir/registry" "$world_dir/oci" "$world_dir/tree" "$world_dir/answers"
mkdir -p "$world_dir/oci" "$world_dir/tree" "$world_dir/answers"
world_open

step "package sources of this machine"
ctx=$run_dir/ctx
mkdir -p "$ctx/apt/sources.list.d" "$ctx/apt/apt.conf.d"
# shellcheck disable=SC2016
apt-get indextargets --format '$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
    sed -n 's/^Debian|//p' | sort -u >"$ctx/apt/sources.list.d/debian.list"
[ -s "$ctx/apt/sources.list.d/debian.list" ] || die "apt has no Debian package lists; run apt-get update"
apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|https?::Proxy) ' \
    >"$ctx/apt/apt.conf.d/99mirror" || true

if [ ! -e "$world_dir/base.tar" ]; then
    step "base rootfs (mmdebstrap)"
    # shellcheck disable=SC2016
    mmdebstrap --quiet --variant=minbase --aptopt="$ctx/apt/apt.conf.d/99mirror" \
        --customize-hook='rm -f "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*' \
        bookworm "$run_dir/base.tar" "$ctx/apt/sources.list.d/debian.list"
    mv "$run_dir/base.tar" "$world_dir/base.tar"
fi

step "engine and registry"
start_dockerd ci --data "$world_dir/ci"
start_registry reg --storage "$world_dir/registry"
on ci image inspect e2e-base >/dev/null 2>&1 ||
    on ci import -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        "$world_dir/base.tar" e2e-base >/dev/null

# build TAG DOCKERFILE CONTEXT [ARGUMENTS...]: never from the cache; COPYed files get new times.
build() {
    local tag=$1 file=$2 context=$3
    shift 3
    step "build $tag"
    find "$context" -exec touch -h {} +
    on ci build --quiet --no-cache --network=host -f "$here/scene/$file" -t "$tag" "$@" "$context" >"$run_dir/build.log" 2>&1 || {
        tail -n 40 "$run_dir/build.log" >&2
        die "docker build of $tag failed"
    }
}

# publish REPO:TAG: registry, OCI layout, tree of a container.
publish() {
    local ref=$1 repo=${1%%:*} tag=${1#*:} id
    step "push $ref"
    on ci tag "$ref" "$(reg reg)/$ref"
    on ci push --quiet "$(reg reg)/$ref" >/dev/null
    on ci rmi "$(reg reg)/$ref" >/dev/null
    skopeo --insecure-policy copy --quiet --src-tls-verify=false \
        "docker://$(reg reg)/$ref" "oci:$world_dir/oci/$repo:$tag" >/dev/null
    id=$(on ci create "$ref")
    on ci export "$id" | python3 "$here/tree.py" list | gzip -1 >"$world_dir/tree/$repo-$tag.gz"
    on ci rm "$id" >/dev/null
    record "$ref"
}

record() {
    local repo=${1%%:*} tag=${1#*:}
    printf '%s %s\n' "$1" "$(manifest_digest reg "$repo" "$tag")" >>"$run_dir/manifest"
}

# ---- the reference scene: the dependency layer sits above the model

if ! on ci image inspect e2e-train >/dev/null 2>&1; then
    cp "$here/scene/train.py" "$ctx/train.py"
    build e2e-train Dockerfile.train "$ctx" --build-arg BASE=e2e-base
fi
for version in 1 2; do
    step "train model $version"
    mkdir -p "$run_dir/model" "$run_dir/scene$version"
    on ci run --rm --network=none -v "$run_dir/model:/out" -v "$here/scene/train.py:/train.py:ro" e2e-train \
        python3 /train.py $version /out/model-$version.pkl
    cp -r "$ctx/apt" "$here/scene/iot_score.py" "$run_dir/scene$version/"
    cp "$run_dir/model/model-$version.pkl" "$run_dir/scene$version/model.pkl"
done

answers() {
    on ci run --rm -i --network=none "$1" python3 /var/azureml-app/iot_score.py \
        <"$here/scene/inputs" >"$world_dir/answers/${1/:/-}"
}

build tempanomaly:1 Dockerfile "$run_dir/scene1" --build-arg BASE=e2e-base
build tempanomaly:2 Dockerfile "$run_dir/scene2" --build-arg BASE=e2e-base
build tempanomaly:dep-added Dockerfile "$run_dir/scene2" --build-arg BASE=e2e-base \
    --build-arg "PACKAGES=python3-sklearn python3-yaml"
for tag in 1 2 dep-added; do
    publish tempanomaly:$tag
    answers tempanomaly:$tag
done

step "a third model on the same dependencies"
on ci run --rm --network=none -v "$run_dir/model:/out" -v "$here/scene/train.py:/train.py:ro" e2e-train \
    python3 /train.py 3 /out/model-3.pkl
mkdir -p "$run_dir/scene3"
cp "$run_dir/model/model-3.pkl" "$run_dir/scene3/model.pkl"
printf 'FROM tempanomaly:2\nCOPY model.pkl /var/azureml-app/azureml-models/model.pkl\n' >"$run_dir/Dockerfile.3"
on ci build --quiet --no-cache -f "$run_dir/Dockerfile.3" -t tempanomaly:3 "$run_dir/scene3" >/dev/null 2>&1
publish tempanomaly:3
answers tempanomaly:3

# ---- another version of a package

for version in 1.0 2.0; do
    deb=$run_dir/deb$version
    mkdir -p "$deb/DEBIAN" "$deb/usr/bin" "$run_dir/driver$version"
    printf 'Package: iot-driver\nVersion: %s\nArchitecture: all\nMaintainer: e2e <root@localhost>\nDescription: test\n' \
        $version >"$deb/DEBIAN/control"
    printf '#!/bin/sh\necho iot-driver %s\n' $version >"$deb/usr/bin/iot-driver"
    chmod 755 "$deb/usr/bin/iot-driver"
    dpkg-deb --root-owner-group -b "$deb" "$run_dir/driver$version/iot-driver.deb" >/dev/null
    cp "$run_dir/model/model-${version%.0}.pkl" "$run_dir/driver$version/model.pkl"
done
build tempanomaly:dep-old Dockerfile.driver "$run_dir/driver1.0" --build-arg BASE=e2e-base
build tempanomaly:dep-version Dockerfile.driver "$run_dir/driver2.0" --build-arg BASE=e2e-base
publish tempanomaly:dep-old
publish tempanomaly:dep-version

# ---- small images

tiny=$run_dir/tiny
mkdir -p "$tiny" "$run_dir/busybox"
(cd "$run_dir/busybox" && apt-get -qq -o APT::Sandbox::User=root download busybox-static && dpkg-deb -x busybox-static_*.deb .)
cp "$(find "$run_dir/busybox" -name busybox -type f -path '*bin*' | head -n1)" "$tiny/busybox"
build e2e-tiny Dockerfile.tiny "$tiny"

# caps VERSION TAR: a COPY would lose the capabilities, an ADD of an archive keeps them.
caps() {
    local dir=$run_dir/caps$1 name with=(capable capable-lost)
    [ "$1" = 1 ] || with=(capable capable-gained)
    mkdir -p "$dir"
    for name in capable capable-gained capable-lost; do
        printf '#!/bin/sh\n' >"$dir/$name"
        chmod 755 "$dir/$name"
    done
    for name in "${with[@]}"; do
        setcap cap_net_raw,cap_net_bind_service+ep "$dir/$name"
    done
    tar -C "$dir" --xattrs --xattrs-include=security.capability --format=pax --owner=0 --group=0 \
        -cf "$2" capable capable-gained capable-lost
}

for version in 1 2; do
    dir=$run_dir/small$version
    mkdir -p "$dir"
    cp "$run_dir/model/model-$version.pkl" "$dir/model.pkl"
    cp "$here/scene/iot_score.py" "$dir/"
    caps $version "$dir/caps.tar"
    build kinds:$version Dockerfile.kinds$version "$dir" --build-arg BASE=e2e-tiny
    publish kinds:$version
done
build many:1 Dockerfile.many "$run_dir/small1" --build-arg BASE=e2e-tiny
build many:2 Dockerfile.many "$run_dir/small2" --build-arg BASE=e2e-tiny \
    --build-arg CHANGE='rm d7/f7; echo changed >d8/f8; echo added >d9/extra'
publish many:1
publish many:2

step "multi-arch images"
for version in 1 2; do
    for arch in amd64 arm64; do
        build multi:$version-$arch Dockerfile.multi "$run_dir/small$version" \
            --build-arg BASE=e2e-tiny --build-arg ARCH=$arch
        publish multi:$version-$arch
    done
    python3 "$here/multiarch.py" "$world_dir/oci/multi" $version amd64=$version-amd64 arm64=$version-arm64
    skopeo --insecure-policy copy --quiet --all --dest-tls-verify=false \
        "oci:$world_dir/oci/multi:$version" "docker://$(reg reg)/multi:$version" >/dev/null
    record multi:$version
done

{
    printf 'scene %s\n' "$hash"
    cat "$run_dir/manifest"
} >"$list.new"
mv "$list.new" "$list"
on ci image prune -f >/dev/null
step "done"
