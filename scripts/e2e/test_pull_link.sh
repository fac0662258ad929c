#!/usr/bin/env bash
# A link of 20 kbit/s that loses 5 % of the packets, and breaks once: the update comes, and its bytes are few.
# shellcheck disable=SC2034
without_scene=1
# shellcheck source=scripts/e2e/world.sh
. "$(dirname "${BASH_SOURCE[0]}")/world.sh"
# shellcheck source=scripts/e2e/meter.sh
. "$e2e_dir/meter.sh"
need_root "$@"
if ! in_own_network "$0" "$@"; then
    echo "ok - skipped: network namespaces are not allowed here"
    exit 0
fi
# shellcheck source=scripts/e2e/test.sh
. "$e2e_dir/test.sh"
# shellcheck source=scripts/e2e/device.sh
. "$e2e_dir/device.sh"

ip link set lo up
device_scene
meter_open
start_registry reg --scene "$world_dir/device-small" --behind-meter
device_is oci "$run_dir/device" device/tiny
device_prepare
device_save "$run_dir/saved"
metered once
status "the update on a good link" 0
good=$meter_bytes
printf '# %d bytes in %d frames, both directions\n' "$meter_bytes" "$meter_frames"

slow() { # PREFIX DEVICE
    $1 tc qdisc add dev "$2" root tbf rate 20kbit burst 2kb latency 400ms
}
# lossy PREFIX: one of twenty packets that come in is dropped.
lossy() { $1 iptables -A INPUT -p tcp -m statistic --mode random --probability 0.05 -j DROP; }
if ! { slow '' near && slow behind_meter far && lossy '' && lossy behind_meter; } 2>"$err"; then
    ok "skipped: no tbf or iptables here: $(tail -n 1 "$err")"
    exit 0
fi
device_reset "$run_dir/saved"
# The link breaks when half is there: every packet of the connection is answered by a reset, for a second.
break_link() {
    local bytes start
    read -r start _ < <(meter_read)
    while sleep 0.3; do
        read -r bytes _ < <(meter_read)
        if [ $((bytes - start)) -gt $((good / 2)) ]; then break; fi
    done
    iptables -I OUTPUT -p tcp -d "$meter_server" -j REJECT --reject-with tcp-reset
    sleep 1
    iptables -D OUTPUT -p tcp -d "$meter_server" -j REJECT --reject-with tcp-reset
}
read -r before _ < <(meter_quiet)
began=$SECONDS
break_link &
breaker=$!
rc=1
for ((runs = 0; runs < 10 && rc != 0; runs++)); do once; done
wait $breaker || true
read -r after _ < <(meter_quiet)
status "20 kbit/s, 5 % loss and one break: the update comes" 0
printf '# %d s, %d runs, %d bytes in both directions\n' $((SECONDS - began)) "$runs" $((after - before))
device_look
is "whole" "$problem $current" " $new"
# a unit of resuming is more than this update: what came before the break may not come again, but for what was lost on the way
less "bytes on the wire" $((after - before)) $((good * 2))
