#!/usr/bin/env bash
# Killed in a first install, in a rollback and in an import, at write points all over each: what runs is whole, and the same
# command again does what it was to do.
#
# VENEER_KILLS         how many, over all engines and commands [36]
# VENEER_KILL_ENGINES  ["oci rootfs"]
# shellcheck disable=SC2034
without_scene=1
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"
# shellcheck source=scripts/e2e/device.sh
. "$e2e_dir/device.sh"

read -ra engines <<<"${VENEER_KILL_ENGINES:-oci rootfs}"
share=$((${VENEER_KILLS:-36} / ${#engines[@]} / 3))
memory=$(in_memory)
build_tools
device_scene
start_registry reg --scene "$world_dir/device-small"
first=$(manifest_digest reg device/app 1)

# run_verb first|rollback|import [NAME=VALUE]...: below the shim.
run_verb() {
    local verb=$1 command
    shift
    case $verb in
    first) command=(once --now --plain-http "$followed") ;;
    rollback) command=(rollback "$wanted") ;;
    import) command=(import --now "$run_dir/update.oci") ;;
    esac
    rc=0
    { faulty "$@" "$veneer_pull" "${command[0]}" "${device_options[@]}" --format json "${command[@]:1}" >"$out" 2>"$err" || rc=$?; } \
        2>/dev/null
}

# killed_in VERB: from the device that is saved; `wanted` must run at the end, old or new in between.
killed_in() {
    local verb=$1 i point points broken=0 stuck=0 killed=0 deeds=(before half after)
    fault_begin veneer-pull "$device"
    device_reset "$memory/saved"
    run_verb "$verb" LOG="$run_dir/points-$engine-$verb"
    status "$engine, $verb: undisturbed" 0
    points=$(fault_points)
    device_look
    is "$engine, $verb: whole, and what was wanted" "$problem $current" " $wanted"
    for ((i = 0; i < share; i++)); do
        device_reset "$memory/saved"
        point=$((i * points / share + 1))
        run_verb "$verb" AT=$point DO="${deeds[i % 3]}"
        if [ "$rc" = 137 ]; then killed=$((killed + 1)); fi
        pull status
        # before the first release nothing runs
        if [ "$rc" != 0 ] || [ "$verb" != first ] || [ "$(active_release "$out")" != "(0)" ]; then device_look; else problem=; fi
        if [ -n "$problem" ]; then
            broken=$((broken + 1))
            not_ok "$engine, $verb: killed ${deeds[i % 3]} point $point: $problem"
        fi
        run_verb "$verb"
        why="exit $rc: $(tail -n 1 "$err")"
        device_look
        if [ -n "$problem" ] || [ "$current" != "$wanted" ]; then
            stuck=$((stuck + 1))
            not_ok "$engine, $verb: killed ${deeds[i % 3]} point $point, and again: $why" "$problem, $current"
        fi
    done
    is "$engine, $verb: killed $killed times at $points write points: none broken" "$broken" 0
    is "$engine, $verb: the same again brings it about" "$stuck" 0
}

for e in "${engines[@]}"; do
    device_is "$e" "$memory/device-$e"
    mkdir -p "$device/state" "$endpoint"
    device_save "$memory/saved"
    old=$first new=$first wanted=$first
    set_channel "$repo" 1
    once
    status "$e: the first release" 0
    remember_tree old
    remember_tree new
    killed_in first

    rm -rf "$device"
    device_prepare
    device_save "$memory/saved"
    remember_tree old
    v delta make -o "$run_dir/update.oci" "$(reg reg)/$repo:thin-2" "$(reg reg)/$repo:thin-3"
    status "$e: an update in a file" 0
    once
    status "$e: the update" 0
    remember_tree new
    wanted=$new
    killed_in import

    # back to the release before
    device_reset "$memory/saved"
    once
    device_save "$memory/saved"
    wanted=$old
    killed_in rollback
    rm -f "$run_dir/update.oci"
done
