#!/usr/bin/env bash
# The power goes at every write point and at any instant of an update; what was not made durable survives or not. After the
# boot the old or the new release is there, whole, and the new one if "once" had said so; the next run brings the new one.
#
# VENEER_CUTS         how many, over all engines [12]
# VENEER_CUT_ENGINES  ["oci rootfs moby"], and containerd, podman
# VENEER_CUT_FS       file systems of the disk, which take turns ["ext4 btrfs"]; an engine's is ext4
# VENEER_E2E_SEED     [1]
# shellcheck disable=SC2034
without_scene=1
# shellcheck source=scripts/e2e/world.sh
. "$(dirname "${BASH_SOURCE[0]}")/world.sh"
need_root "$@"
own_boots "$0" "$@"
# shellcheck source=scripts/e2e/test.sh
. "$e2e_dir/test.sh"
# shellcheck source=scripts/e2e/device.sh
. "$e2e_dir/device.sh"

if ! can_cut_power; then
    ok "skipped: no FUSE or no loop device here"
    exit 0
fi
cuts=${VENEER_CUTS:-12}
read -ra engines <<<"${VENEER_CUT_ENGINES:-oci rootfs moby}"
read -ra kinds <<<"${VENEER_CUT_FS:-ext4 btrfs}"
RANDOM=${VENEER_E2E_SEED:-1}
printf '# VENEER_CUTS=%s VENEER_E2E_SEED=%s\n' "$cuts" "${VENEER_E2E_SEED:-1}"
build_tools
new_boot
device_scene
start_registry reg --scene "$world_dir/device-small"

# The prepared device, durable.
cut_reset() {
    device_reset "$run_dir/saved"
    sync -f "$disk"
}
cut_begin() {
    name=disk-$1-$2
    power_on "$name" "$2" 1G
    disk=$run_dir/$name/fs
    control=$run_dir/$name/disk/control
    device_is "$1" "$disk/device"
    engine_up
    device_prepare
    remember_tree old
    device_save "$run_dir/saved"
    cut_reset
    fault_begin veneer-pull "$device"
    took=$(date +%s%N)
    pull_faulty LOG="$run_dir/points-$1-$2" --
    took=$((($(date +%s%N) - took) / 1000000))
    status "$1 on $2: the update undisturbed" 0
    points=$(fault_points)
    remember_tree new
    device_look
    is "$1 on $2: is whole" "$problem" ""
    printf '# %s on %s: %d write points, %d ms\n' "$1" "$2" "$points" "$took"
}

ways=("none" "subset" "none" "prefix" "subset" "all")
# cut_words N: how the N-th cut treats what was not flushed.
cut_words() { printf 'cut %s %d' "${ways[$1 % ${#ways[@]}]}" "$1"; }

# power_returns: 1 when the file system does not mount.
power_returns() {
    engine_down
    power_is_cut "$name" || power_cut "$name" none
    new_boot
    power_back "$name" || return 1
    engine_up
}

# Every third time the file system has a moment for itself: its metadata reach the disk within it, data need not.
cut_at_point() { # N POINT DEED
    local pause=0
    if [ $(($1 % 3)) = 2 ]; then pause=2200; fi
    pull_faulty AT="$2" DO="$3" CUT="$(cut_words "$1")" CONTROL="$control" PAUSE=$pause "${lazy[@]}" --
}
cut_at_random() { # N
    local pid how
    read -r _ how <<<"$(cut_words "$1")"
    rc=0
    "$veneer_pull" once "${device_options[@]}" --format json --now --plain-http "$followed" >"$out" 2>"$err" &
    pid=$!
    sleep "$(printf '%d.%03d' $((RANDOM % (took + 50) / 1000)) $((RANDOM % 1000 * took / 1000 % 1000)))"
    # what it says after the cut does not count
    cp "$out" "$run_dir/said"
    # shellcheck disable=SC2086
    power_cut "$name" $how
    kill -KILL $pid 2>/dev/null || true
    { wait $pid || rc=$?; } 2>/dev/null
    if [ ! -s "$run_dir/said" ]; then rc=137; fi
}

# one_cut NAME COMMAND...
one_cut() {
    local what=$1 again claimed=0
    shift
    cut_reset
    "$@"
    if [ "$rc" = 0 ]; then claimed=1; elif [ "$rc" != 137 ]; then not_ok "$what: exit $rc without a kill" "$(what_it_said)"; fi
    done_cuts=$((done_cuts + 1))
    for again in 0 1; do
        if ! power_returns; then
            broken=$((broken + 1))
            not_ok "$what: the file system does not mount"
            return
        fi
        device_look
        if [ -n "$problem" ]; then
            broken=$((broken + 1))
            not_ok "$what: the device after it" "$problem"
        fi
        if [ $claimed = 1 ] && [ "$current" != "$new" ]; then
            broken=$((broken + 1))
            not_ok "$what: \"once\" said that the new release runs, and it does not"
        fi
        # every third time the recovery is cut too
        if [ $again = 1 ] || [ $((RANDOM % 3)) != 0 ]; then break; fi
        cut_at_point $((done_cuts + 1)) $((RANDOM % 40 + 1)) after
        if [ "$rc" = 0 ]; then claimed=1; fi
        what="$what, and again"
    done
    if [ "$current" = "$new" ]; then was_new=$((was_new + 1)); fi
    converge
    if [ -n "$problem" ]; then
        stuck=$((stuck + 1))
        not_ok "$what: $problem"
    fi
}

# What these cuts would find: the same program with syncs that do nothing.
without_syncs() {
    local i found=0
    lazy=(LAZY=1)
    for ((i = 1; i <= 9; i++)); do
        cut_reset
        # nothing that was not flushed survives, and each time there is a pause
        cut_at_point $((i * 6 + 2)) $((points - i * 5)) after
        power_returns || die "the file system does not mount"
        device_look
        if [ -n "$problem" ]; then found=$((found + 1)); fi
    done
    lazy=()
    less "$engine: 9 cuts of a program that syncs nothing find broken devices" 0 $found
}

lazy=()
share=$((cuts / ${#engines[@]}))
for e in "${engines[@]}"; do
    on_kinds=("${kinds[@]}")
    case $e in moby | containerd | podman) on_kinds=(ext4) ;; esac
    for kind in "${on_kinds[@]}"; do
        cut_begin "$e" "$kind"
        done_cuts=0 broken=0 stuck=0 was_new=0
        part=$((share / ${#on_kinds[@]})) deeds=(after before half)
        at_points=$((part * 2 / 3)) all=$((points * 3))
        # most of what an engine holds is written by the engine
        case $e in moby | containerd | podman) at_points=$((part / 3)) ;; esac
        for ((i = 0; i < at_points; i++)); do
            which=$((i * all / at_points % all))
            one_cut "$e on $kind: cut ${deeds[which % 3]} point $((which / 3 + 1))" \
                cut_at_point $i $((which / 3 + 1)) "${deeds[which % 3]}"
        done
        for ((; i < part; i++)); do one_cut "$e on $kind: cut at random, number $i" cut_at_random $i; done
        is "$e on $kind: $done_cuts cuts, $was_new of them with the new release: none broken" "$broken" 0
        is "$e on $kind: the next run always brings the new release" "$stuck" 0
        [ "$e $kind" != "oci ext4" ] || without_syncs
        engine_stop
        check "$e on $kind: the file system itself is sound" power_off "$name"
        rm -rf "${run_dir:?}/$name"
    done
done
