# shellcheck shell=bash
# shellcheck disable=SC2154
# Sourced by scripts/bench: the parts about devices.

pull_ready() {
    [ -x "$veneer_pull" ] || die "no $veneer_pull; run make first"
    out=$run_dir/out err=$run_dir/err
    # shellcheck source=scripts/e2e/device.sh
    . "$e2e_dir/device.sh"
}

# A thousand devices and one registry, all on this machine: two processors serve both, so this is the least that a registry
# of its own would do.
bench_fleet() {
    local n=${VENEER_BENCH_DEVICES:-1000} splay=${VENEER_BENCH_SPLAY:-60}
    pull_ready
    # shellcheck source=scripts/e2e/fleet.sh
    . "$e2e_dir/fleet.sh"
    device_scene
    start_registry reg --scene "$world_dir/device-small"
    printf '\n%s devices against one docker-registry, all on this machine (%s processors), HTTP on loopback, at most 100 at a time\n' \
        "$n" "$(nproc)"
    fleet_prepare "$n"
    printf '  %-44s %9s %9s %9s %9s %9s %8s\n' "" seconds "devices/s" "median s" "99 % s" "most s" failed
    fleet_row() { # NAME OPTION...
        local name=$1
        shift
        fleet_run "$n" "$@"
        awk -v name="$name" -v n="$n" -v s="$fleet_seconds" -v f="$fleet_failed" -v m="$fleet_median" -v p="$fleet_p99" -v x="$fleet_most" \
            'BEGIN { printf "  %-44s %9.2f %9.1f %9.3f %9.3f %9.3f %8d\n", name, s, n / s, m, p, x, f }'
    }
    fleet_row "polls without news, all at once"
    fleet_row "polls without news, splay of $splay s" --splay "$splay"
    set_channel "$repo" thin-3
    fleet_row "updates of 22 kB by delta, all at once"
    rm -rf "$run_dir/fleet"
    fleet_prepare "$n"
    set_channel "$repo" thin-3
    fleet_row "the same, splay of $splay s" --splay "$splay"
    printf '  with the new release: %s of %s\n' "$(fleet_with "$new" "$n")" "$n"
    stop_registry reg
    rm -rf "$run_dir/fleet"
}

# memory_row NAME COMMAND...: seconds and peak of resident memory of one run.
memory_row() {
    local name=$1
    shift
    measure 1 : "$@"
    row "$name" "$seconds" "$kib"
}
# A model of some MB, all of whose weights moved, on a device without an engine; the peak must not grow with it.
memory_of_model() {
    local mb=$1 dir=$run_dir/large n
    mkdir -p "$dir"
    /usr/bin/python3 "$tree_dir/scripts/bench.d/pairs.py" "$dir" --large "$mb"
    {
        for n in 1 2; do
            printf 'image %s\nentrypoint /score\nlayer gzip-6 base\nfile score noise=score:100k mode=755\nlayer plain model\n' $n
            if [ $n = 1 ]; then which=old; else which=new; fi
            printf 'dir opt\nfile opt/model.bin from=%s/large-%s.%s\n' "$dir" "$mb" $which
        done
    } | "$tree_dir/scripts/mkimage" "$dir/images"
    rm -f "$dir"/large-*
    for n in 1 2; do "$veneer" copy -q "oci:$dir/images:$n" "$(reg reg)/large/$mb:$n" >/dev/null; done
    rm -rf "$dir"
    "$veneer" rebase -q "$(reg reg)/large/$mb:1" "$(reg reg)/large/$mb:2" "$(reg reg)/large/$mb:thin-2" >/dev/null
    "$veneer" delta push -q --effort=1 --from "$(reg reg)/large/$mb:1" "$(reg reg)/large/$mb:thin-2" >/dev/null
    rm -rf "$VENEER_CACHE_DIR"
    for engine in oci rootfs; do
        device_is $engine "$run_dir/device-large" "large/$mb"
        mkdir -p "$endpoint" "$device/state"
        set_channel "$repo" 1
        memory_row "$engine, $mb MB: first release, in full" "$veneer_pull" once "${device_options[@]}" --now --plain-http "$followed"
        set_channel "$repo" thin-2
        wire_mark reg
        memory_row "$engine, $mb MB: update by delta" \
            "$veneer_pull" once "${device_options[@]}" --now --plain-http "$followed"
        printf '  %s, %s MB: %s bytes came for a layer of %s\n' "$engine" "$mb" "$(pulled_bytes reg)" \
            "$(manifest reg "$repo" thin-2 | jq '.layers[-1].size')"
        memory_row "$engine, $mb MB: poll without news" "$veneer_pull" once "${device_options[@]}" --now --plain-http "$followed"
        rm -rf "$run_dir/device-large"
    done
}
bench_memory() {
    local mb
    pull_ready
    begin "memory of veneer-pull"
    memory_row "veneer-pull version (its libraries)" "$veneer_pull" version
    start_registry reg
    for mb in ${VENEER_BENCH_MODELS:-50 500}; do memory_of_model "$mb"; done
    stop_registry reg
    [ -n "${VENEER_BENCH_QUICK:-}" ] || memory_of_scene
    table "veneer-pull version (its libraries)"
}
# The reference scene: 1, then the thin image of 2, whose delta has 26,693 sources.
memory_of_scene() {
    "$e2e_dir/scene.sh"
    rm -rf "${run_dir:?}/reg"
    start_registry reg --scene
    "$veneer" rebase -q "$(reg reg)/tempanomaly:1" "$(reg reg)/tempanomaly:2" "$(reg reg)/tempanomaly:thin-2" >/dev/null
    "$veneer" delta push -q --from "$(reg reg)/tempanomaly:1" "$(reg reg)/tempanomaly:thin-2" >/dev/null
    "$veneer" delta push -q --from "$(reg reg)/tempanomaly:thin-2" "$(reg reg)/tempanomaly:2" >/dev/null
    for engine in oci rootfs; do
        device_is $engine "$run_dir/device-scene" tempanomaly
        mkdir -p "$endpoint" "$device/state"
        set_channel "$repo" 1
        memory_row "$engine, the scene: first release, in full" "$veneer_pull" once "${device_options[@]}" --now --plain-http "$followed"
        for tag in thin-2 2; do
            set_channel "$repo" $tag
            memory_row "$engine, the scene: update to $tag" "$veneer_pull" once "${device_options[@]}" --now --plain-http "$followed"
        done
        rm -rf "$run_dir/device-scene"
    done
    stop_registry reg
}
