#!/usr/bin/env bash
# A full or failing disk, short writes at every write point, a read-only folder, a clock in 1970: what runs stays, what went
# wrong is said, and when the disk is well again the update comes.
#
# VENEER_FAULTS         how many, over all engines [84]
# VENEER_FAULT_ENGINES  ["oci rootfs"]
# shellcheck disable=SC2034
without_scene=1
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"
# shellcheck source=scripts/e2e/device.sh
. "$e2e_dir/device.sh"

faults=${VENEER_FAULTS:-84}
read -ra engines <<<"${VENEER_FAULT_ENGINES:-oci rootfs}"
build_tools
memory=$(in_memory)
device_scene
start_registry reg --scene "$world_dir/device-small"

# one_fault NAME POINT DEED [ON=1]
one_fault() {
    local name=$1 why
    device_reset "$memory/saved"
    pull_faulty AT="$2" DO="$3" "${@:4}" --
    why=$(tail -n 1 "$err")
    case $3 in
    short) [ "$rc" = 0 ] || not_ok "$name: a short write is no failure" "exit $rc: $why" ;;
    *)
        case $rc in
        0) harmless=$((harmless + 1)) ;;
        [1-5]) [ -n "$why" ] || not_ok "$name: exit $rc and not a word" ;;
        *) not_ok "$name: exit $rc" "$why" ;;
        esac
        case "$why" in *"$(said_as "$3")"*) said=$((said + 1)) ;; esac
        ;;
    esac
    claimed=$rc
    device_look
    if [ -n "$problem" ]; then
        broken=$((broken + 1))
        not_ok "$name: the device after it" "$problem"
    elif [ "$claimed" = 0 ] && [ "$current" != "$new" ]; then
        broken=$((broken + 1))
        not_ok "$name: exit 0, and the old release runs"
    fi
    converge
    if [ -n "$problem" ]; then
        stuck=$((stuck + 1))
        not_ok "$name: $problem"
    fi
}
said_as() {
    case $1 in
    ENOSPC) echo "No space left" ;;
    EIO) echo "Input/output error" ;;
    *) echo "Read-only" ;;
    esac
}

share=$((faults / ${#engines[@]}))
for e in "${engines[@]}"; do
    device_is "$e" "$memory/device-$e"
    device_prepare
    remember_tree old
    device_save "$memory/saved"
    fault_begin veneer-pull "$device"
    pull_faulty LOG="$run_dir/points-$e" --
    status "$e: the update undisturbed" 0
    points=$(fault_points)
    remember_tree new
    device_look
    is "$e: is whole" "$problem" ""

    harmless=0 said=0 broken=0 stuck=0
    deeds=("ENOSPC ON=1" "EIO" "short" "EIO ON=1" "ENOSPC" "EROFS ON=1" "short ON=1")
    all=$((points * ${#deeds[@]}))
    [ $share -le $all ] || share=$all
    for ((i = 0; i < share; i++)); do
        which=$((i * all / share))
        read -r -a deed <<<"${deeds[which % ${#deeds[@]}]}"
        point=$((which / ${#deeds[@]} + 1))
        one_fault "$e: ${deed[*]} at point $point ($(awk -v n=$point '$1 == n { print $2, $3 }' "$run_dir/points-$e"))" \
            $point "${deed[@]}"
    done
    is "$e: $share faults at $points write points: none broke the device" "$broken" 0
    is "$e: and the update came afterwards" "$stuck" 0
    printf '# %s: %d faults did no harm, %d were named as the system names them\n' "$e" "$harmless" "$said"

    # ---- a folder that cannot be written
    device_reset "$memory/saved"
    mount --bind "$device/state" "$device/state"
    mount -o remount,bind,ro "$device/state"
    once
    case $rc in [3-5]) ok "$e: a read-only state folder: exit $rc" ;; *) not_ok "$e: a read-only state folder: exit $rc" "$(what_it_said)" ;; esac
    has "$e: is named" "$err" "$device/state"
    device_look
    is "$e: and status still tells" "$problem $current" " $old"
    umount "$device/state"
    converge
    is "$e: written again, the update comes" "$problem" ""

    # ---- a clock that was not set
    device_reset "$memory/saved"
    pull_faulty CLOCK=42 --
    status "$e: the update with the clock in 1970" 0
    device_look
    is "$e: is whole" "$problem $current" " $new"
    once
    status "$e: and the clock set again: nothing to do" 0
    device_look
    is "$e: the release stays" "$problem $current" " $new"
done
