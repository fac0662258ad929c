#!/usr/bin/env bash
# veneer-pull killed at every write point and at any instant of an update: at once afterwards the old or the new release is there,
# whole; the next run brings the new one; what is downloaded twice is less than one unit of resuming.
#
# VENEER_KILLS         how many, over all engines [48]
# VENEER_KILL_ENGINES  ["oci rootfs"], and moby, containerd, podman
# VENEER_E2E_SEED      of the random instants [1]
# shellcheck disable=SC2034
without_scene=1
# shellcheck source=scripts/e2e/world.sh
. "$(dirname "${BASH_SOURCE[0]}")/world.sh"
# shellcheck source=scripts/e2e/meter.sh
. "$e2e_dir/meter.sh"
need_root "$@"
# the registry's log is the measure of what was downloaded
in_own_network "$0" "$@" || true
# shellcheck source=scripts/e2e/test.sh
. "$e2e_dir/test.sh"
# shellcheck source=scripts/e2e/device.sh
. "$e2e_dir/device.sh"

kills=${VENEER_KILLS:-48}
read -ra engines <<<"${VENEER_KILL_ENGINES:-oci rootfs}"
RANDOM=${VENEER_E2E_SEED:-1}
printf '# VENEER_KILLS=%s VENEER_E2E_SEED=%s\n' "$kills" "${VENEER_E2E_SEED:-1}"
narrow_network
build_tools
memory=$(in_memory)
device_scene
start_registry reg --scene "$world_dir/device-small"

# kill_begin ENGINE: a prepared device, what its update costs undisturbed, and how many write points it has.
kill_begin() {
    device_is "$1" "$memory/device-$1"
    engine_up
    device_prepare
    remember_tree old
    device_save "$memory/saved"
    fault_begin veneer-pull "$device/state" "$endpoint"
    wire_mark reg
    took=$(date +%s%N)
    pull_faulty LOG="$run_dir/points-$1" --
    took=$((($(date +%s%N) - took) / 1000000))
    status "$1: the update undisturbed" 0
    whole=$(pulled_bytes reg)
    points=$(fault_points)
    remember_tree new
    device_look
    is "$1: is whole" "$problem" ""
    printf '# %s: %d write points, %d ms, %d bytes of blobs\n' "$1" "$points" "$took" "$whole"
    if [ "$points" -gt 10 ]; then ok "$1: write points are seen"; else not_ok "$1: write points are seen" "$points"; fi
}

# one_kill NAME COMMAND...: COMMAND ends with a kill; then all that must be true.
one_kill() {
    local name=$1 twice
    shift
    device_reset "$memory/saved"
    wire_mark reg
    chain=1
    "$@"
    done_kills=$((done_kills + 1))
    if [ "$rc" != 137 ]; then
        survived=$((survived + 1))
        if [ "$rc" != 0 ]; then not_ok "$name: exit $rc without a kill" "$(what_it_said)"; fi
    fi
    device_look
    if [ -n "$problem" ]; then
        broken=$((broken + 1))
        not_ok "$name: the device after it" "$problem"
    fi
    if [ "$current" = "$new" ]; then was_new=$((was_new + 1)); fi
    converge
    if [ -n "$problem" ]; then
        stuck=$((stuck + 1))
        not_ok "$name: $problem"
    fi
    # of each kill
    twice=$((($(pulled_bytes reg) - whole) / chain))
    [ $twice -le $most_twice ] || most_twice=$twice
    if [ $twice -ge $resume_unit ] && [ $twice -ge $in_flight ]; then not_ok "$name: downloaded twice" "$twice bytes"; fi
}

# at_random: killed at some instant, and now and then the next run too.
at_random() {
    local pid again=1
    while [ $again = 1 ]; do
        rc=0
        "$veneer_pull" once "${device_options[@]}" --format json --now --plain-http "$followed" >"$out" 2>"$err" &
        pid=$!
        sleep "$(printf '0.%03d' $((RANDOM % (took < 900 ? took : 900))))"
        kill -KILL $pid 2>/dev/null || true
        { wait $pid || rc=$?; } 2>/dev/null
        again=$((RANDOM % 3 == 0))
        [ "$rc" = 137 ] || again=0
        chain=$((chain + again)) done_kills=$((done_kills + again))
    done
}

share=$((kills / ${#engines[@]}))
for e in "${engines[@]}"; do
    kill_begin "$e"
    done_kills=0 survived=0 broken=0 stuck=0 was_new=0 most_twice=0
    # All three ways at each point when there are that many; otherwise evenly, beginning anywhere.
    all=$((points * 3)) at_points=$((share * 2 / 3))
    [ $at_points -le $all ] || at_points=$all
    deeds=(before half after)
    for ((i = 0; i < at_points; i++)); do
        which=$((i * all / at_points))
        one_kill "$e: killed ${deeds[which % 3]} point $((which / 3 + 1))" \
            pull_faulty AT=$((which / 3 + 1)) DO="${deeds[which % 3]}" --
    done
    for ((; i < share; i++)); do one_kill "$e: killed at random, number $i" at_random; done
    is "$e: killed $((done_kills - survived)) times, $was_new of them with the new release: none broken" "$broken" 0
    is "$e: the next run always brings the new release" "$stuck" 0
    printf '# %s: %d ran to their end; a kill made at most %d bytes come twice, which were on their way and never read\n' \
        "$e" "$survived" "$most_twice"
    less "$e: most of them were killed" "$survived" $((share / 3 + 1))
    engine_stop
done
