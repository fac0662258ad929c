#!/usr/bin/env bash
# containerd, podman and a root file system as a device's engine: the base pulled by the engine itself where there is one, two releases
# by delta, the files compared with the images that CI built, back without a network, and what others remove comes back.
# shellcheck disable=SC2034
without_scene=1
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"
# shellcheck source=scripts/e2e/device_scene.sh
. "$e2e_dir/device_scene.sh"
device_scene
start_registry reg --scene "$world_dir/device-small"
app=$(reg reg)/device/app
channel() { "$veneer" copy -q --move-tag "$app:$1" "$app:prod" >/dev/null; }
# model_of TAG: the digest of the model in a release, out of its layers.
model_of() {
    local layer
    for layer in $(layer_digests reg device/app "$1" | tac); do
        if blob reg device/app "$layer" | gzip -dc | tar -xOf - opt/model.bin 2>/dev/null | sha256sum | grep -v ^e3b0c442; then return; fi
    done
}
for tag in 1 thin-2 thin-3; do model_of $tag | cut -c1-64 >"$run_dir/model-$tag"; done
p() {
    rc=0
    "$veneer_pull" "$1" --engine "$engine" --endpoint "$endpoint" --state "$run_dir/$engine-state" --format json "${@:2}" >"$out" 2>"$err" || rc=$?
}
once() { p once --plain-http "$app:prod"; }

containerd_begin() {
    start_containerd edge
    endpoint=$run_dir/edge/sock,default
    ctr_on edge images pull --plain-http "$app:prod" >/dev/null
}
containerd_model() {
    mkdir -p "$run_dir/mnt"
    ctr_on edge images mount "$app:prod" "$run_dir/mnt" >/dev/null || return 0
    sha256sum <"$run_dir/mnt/opt/model.bin" | cut -c1-64
    ctr_on edge images unmount --rm "$run_dir/mnt" >/dev/null
}
containerd_remove() { ctr_on edge images ls -q | grep -v veneer-pin | xargs -r "ctr" --address "$run_dir/edge/sock" images rm --sync >/dev/null; }
containerd_held() { ctr_on edge images ls -q | sed 's/.*://' | sort | xargs; }

podman_begin() {
    # podman insists on the file
    [ -e "$DOCKER_CONFIG/config.json" ] || echo '{}' >"$DOCKER_CONFIG/config.json"
    podman_on pod pull -q --tls-verify=false "$app:prod" >/dev/null
    endpoint=$(podman_args pod)
}
podman_model() {
    local root
    root=$(podman_on pod image mount "$app:prod" 2>/dev/null) || return 0
    sha256sum <"$root/opt/model.bin" | cut -c1-64
    podman_on pod image unmount "$app:prod" >/dev/null
}
podman_remove() {
    podman_on pod images --no-trunc --filter "reference=$app:*" --format '{{.ID}} {{.Tag}}' | grep -v veneer-pin | awk '{ print $1 }' | sort -u |
        while read -r id; do podman_on pod rmi -f "$id" >/dev/null 2>&1 || true; done
}
podman_held() { podman_on pod images --format '{{.Tag}}' | sort | xargs; }

rootfs_begin() {
    endpoint=$run_dir/root
    mkdir -p "$endpoint"
}
rootfs_model() { sha256sum <"$endpoint/current/opt/model.bin" | cut -c1-64; }

# bases: where each engine keeps /usr/bin/score, which only the base has
containerd_bases() { find "$run_dir/edge/data" -path '*/snapshots/*/usr/bin/score'; }
podman_bases() { find "$run_dir/pod/data" -path '*/usr/bin/score'; }
rootfs_bases() { find "$endpoint/trees" -path '*/usr/bin/score'; }

# as REPAIR in veneer-pull(8) says
containerd_empty() { ctr_on edge images ls -q | xargs -r ctr --address "$run_dir/edge/sock" images rm --sync >/dev/null; }
podman_empty() { podman_on pod rm -fa >/dev/null && podman_on pod rmi -fa >/dev/null; }
rootfs_empty() { mv "$endpoint/trees" "$run_dir/aside"; }
# repaired TAG: a damaged base goes with all that stands on it, and comes anew.
repaired() {
    mapfile -t bases < <("${engine}_bases")
    flip "${bases[@]}"
    "${engine}_empty"
    channel "$1"
    p once --plain-http --now "$app:prod"
    status "$engine: all of it is taken away and asked for anew" 0
    the_model "has its model" "$1"
    p verify
    status "$engine: and all is sound" 0
}

# the_model NAME TAG
the_model() { is "$engine: $1" "$("${engine}_model")" "$(cat "$run_dir/model-$2")"; }

for engine in ${VENEER_ENGINES:-containerd podman rootfs}; do
    channel 1
    "${engine}_begin"
    once
    status "$engine: the base" 0
    if [ "$engine" = rootfs ]; then what=updated; else what=current; fi
    is "$engine: is taken over, or installed where there was none" "$(json .outcome)" $what
    the_model "has the first model" 1
    wire_mark reg
    channel thin-2
    once
    status "$engine: the second release" 0
    is "$engine: by a delta" "$(p status && json '.releases[0].how')" delta
    the_model "has the second model" thin-2
    channel thin-3
    once
    status "$engine: the third release" 0
    the_model "has the third model" thin-3
    p verify
    status "$engine: what is held is sound" 0
    mapfile -t bases < <("${engine}_bases")
    flip "${bases[@]}"
    p verify
    status "$engine: a byte of the base is another one" 4
    has "$engine: says of which file" "$out" usr/bin/score
    flip "${bases[@]}"
    p verify
    status "$engine: and is what it was" 0
    stop_registry reg
    p rollback
    status "$engine: back without a registry" 0
    the_model "has the second model again" thin-2
    restart_registry reg
    channel thin-3
    once
    is "$engine: what was rolled back is left alone" "$(json .outcome)" refused-before
    if [ "$engine" = rootfs ]; then
        repaired thin-2
        continue
    fi
    "${engine}_remove"
    case $("${engine}_held") in
    veneer-pin-*" "*) not_ok "$engine: others removed all but the pin" "$("${engine}_held")" ;;
    veneer-pin-*) ok "$engine: others removed all but the pin" ;;
    *) not_ok "$engine: others removed all but the pin" "$("${engine}_held")" ;;
    esac
    channel thin-2
    wire_mark reg
    once
    status "$engine: it comes back" 0
    the_model "with its model" thin-2
    less "$engine: on the base that the pin kept" "$(pulled_bytes reg)" 700000
    repaired thin-2
done
