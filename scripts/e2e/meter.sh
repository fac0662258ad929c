# shellcheck shell=bash
# Sourced after world.sh: a wire whose bytes the kernel counts. This script's network namespace and a second one, where the
# servers are, are joined by a veth pair and by nothing else. What crosses it looks as on Ethernet: frames of at most 1,514
# bytes with their headers (no segmentation or receive offload), each counted once in each direction by the kernel's own
# counters of the near end. Neighbours are static and IPv6 is off, so that nothing but the conversation is on it.

meter_server=192.0.2.1
meter_client=192.0.2.2

# in_own_network "$0" "$@": goes on in a network namespace of its own; returns 1 where that is not allowed.
in_own_network() {
    [ -z "${VENEER_OWN_NETWORK:-}" ] || return 0
    unshare --net true 2>/dev/null || return 1
    export VENEER_OWN_NETWORK=1
    exec unshare --net -- "$@"
}

behind_meter() { "${meter_inside[@]}" "$@"; }

meter_open() {
    local mac
    mkdir -p "${run_dir:?}/meter"
    ip link set lo up
    unshare --net sleep infinity &
    echo $! >"$run_dir/meter/pid"
    # a command and not a function, so that what is started with it in the background has the number that the shell knows
    meter_inside=(nsenter --net="/proc/$!/ns/net" --)
    # shellcheck disable=SC2016
    wait_for 10 "second network namespace" /dev/null \
        sh -c '[ "$(readlink /proc/self/ns/net)" != "$(readlink "/proc/$1/ns/net")" ]' sh "$(cat "$run_dir/meter/pid")"
    ip link add near type veth peer name far netns "$(cat "$run_dir/meter/pid")"
    meter_end '' near $meter_client
    meter_end behind_meter far $meter_server
    mac=$(ip -j link show near | jq -r '.[0].address')
    behind_meter ip neigh replace $meter_client lladdr "$mac" nud permanent dev far
    mac=$(behind_meter ip -j link show far | jq -r '.[0].address')
    ip neigh replace $meter_server lladdr "$mac" nud permanent dev near
}

# meter_end PREFIX DEVICE ADDRESS
meter_end() {
    $1 sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6' 2>/dev/null || true
    $1 ip link set "$2" gso_max_segs 1
    $1 ethtool -K "$2" tso off gso off gro off >/dev/null
    $1 ip address add "$3/30" dev "$2"
    $1 ip link set "$2" up
}

# Bytes and frames so far, both directions together.
meter_read() {
    ip -s -j link show near | jq -r '.[0].stats64 | "\(.rx.bytes + .tx.bytes) \(.rx.packets + .tx.packets)"'
}

# Waits until nothing has crossed for half a second, and prints what has.
meter_quiet() {
    local now before=
    while now=$(meter_read) && [ "$now" != "$before" ]; do
        before=$now
        sleep 0.5
    done
    printf '%s\n' "$now"
}

# metered COMMAND...: sets meter_bytes and meter_frames to what crossed the wire, both directions together.
metered() {
    local bytes frames status=0
    read -r bytes frames < <(meter_quiet)
    "$@" || status=$?
    read -r meter_bytes meter_frames < <(meter_quiet)
    meter_bytes=$((meter_bytes - bytes)) meter_frames=$((meter_frames - frames))
    return $status
}
