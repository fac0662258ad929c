# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034
# Sourced after device.sh: many devices and one registry on this machine. A device is a state folder, a layout and a process
# that polls once; it and the registry share the processors, and nothing of a network is between them.

# fleet_prepare N: N copies of a device with the releases 1 and thin-2 of device/tiny; the channel names thin-2.
fleet_prepare() {
    local i
    device_is oci "$run_dir/fleet/0" device/tiny
    device_prepare
    set_channel "$repo" thin-2
    once
    [ "$rc" = 0 ] || die "the first device of the fleet: exit $rc, $(tail -n 1 "$err")"
    # the folder that a state belongs to is another one for each copy
    sed -i '/^  "folder": /d' "$run_dir/fleet/0/state/journal.json"
    for ((i = 1; i <= $1; i++)); do cp -a "$run_dir/fleet/0" "$run_dir/fleet/$i"; done
}
# fleet_run N OPTION...: each device polls once; sets fleet_failed, fleet_seconds, fleet_median, fleet_p99, fleet_most.
fleet_run() {
    local n=$1
    shift
    read -r fleet_failed fleet_seconds fleet_median fleet_p99 fleet_most < <(
        /usr/bin/python3 "$e2e_dir/fleet.py" "$@" "$n" "$veneer_pull" once --engine oci --endpoint "$run_dir/fleet/{}/root" \
            --state "$run_dir/fleet/{}/state" --plain-http --now "$followed"
    )
}
# fleet_with DIGEST N: how many have it.
fleet_with() {
    local i n=0
    for ((i = 1; i <= $2; i++)); do
        "$veneer_pull" status --engine oci --endpoint "$run_dir/fleet/$i/root" --state "$run_dir/fleet/$i/state" --format json \
            >"$out" 2>"$err" || true
        [ "$(active_release "$out")" != "$1" ] || n=$((n + 1))
    done
    echo $n
}
