#!/usr/bin/env bash
# The connection is cut after every so many bytes of an update: the next run goes on where it ended.
#
# VENEER_CUT_STEP  bytes from one cut to the next [32768]; 1024 is the whole proof
# shellcheck disable=SC2034
without_scene=1
# shellcheck source=scripts/e2e/world.sh
. "$(dirname "${BASH_SOURCE[0]}")/world.sh"
# shellcheck source=scripts/e2e/meter.sh
. "$e2e_dir/meter.sh"
need_root "$@"
in_own_network "$0" "$@" || true
# shellcheck source=scripts/e2e/test.sh
. "$e2e_dir/test.sh"
# shellcheck source=scripts/e2e/device.sh
. "$e2e_dir/device.sh"

step=${VENEER_CUT_STEP:-32768}
narrow_network
memory=$(in_memory)
device_scene
start_registry reg --scene "$world_dir/device-small"
proxy=$run_dir/proxy
mkdir -p "$proxy"
python3 "$e2e_dir/cut_proxy.py" --to "$(reg reg)" --dir "$proxy" >"$proxy/out" 2>&1 </dev/null &
echo $! >"$proxy/pid"
wait_for 20 "the cutting proxy" "$proxy/out" test -e "$proxy/port"
# from here on "reg" is what the proxy shows of it
registry_port[reg]=$(cat "$proxy/port")

limit() {
    printf '%s\n' "$*" >"$proxy/limit.new"
    mv "$proxy/limit.new" "$proxy/limit"
}
no_limit() { rm -f "$proxy/limit"; }
passed_mark() { : >"$proxy/log"; }
# passed: bytes to the device since the mark.
passed() {
    sleep 0.1
    awk '{ n += $1 } END { print n + 0 }' "$proxy/log"
}
device_is oci "$memory/device"
passed_mark
device_prepare
device_save "$memory/saved"
passed_mark
once
status "the update without a cut" 0
whole=$(passed)
less "is the delta and hardly more" "$whole" 640000
printf '# %d bytes reach the device; cut after every %d\n' "$whole" "$step"

# What another connection costs: headers, the requests of another run. A reset takes what its receiver had not read.
overhead=16384
declare -A most=([fin]=0 [rst]=0)
broken=0 stuck=0 cuts=0 runs_most=0
for ((at = step / 2; at < whole; at += step)); do
    device_reset "$memory/saved"
    if [ $((cuts % 2)) = 0 ]; then how=fin; else how=rst; fi
    echo $how >"$proxy/how"
    passed_mark
    limit $at
    came=1
    for ((runs = 0; runs < 5 && came != 0; runs++)); do
        once
        came=$rc
        device_look
        [ -z "$problem" ] || break
    done
    no_limit
    cuts=$((cuts + 1))
    if [ -n "$problem" ]; then
        broken=$((broken + 1))
        not_ok "cut after $at bytes: the device" "$problem"
    elif [ "$came" != 0 ] || [ "$current" != "$new" ]; then
        stuck=$((stuck + 1))
        not_ok "cut after $at bytes: no update after $runs runs" "$(what_it_said)"
    fi
    more=$(($(passed) - whole))
    [ $more -le "${most[$how]}" ] || most[$how]=$more
    [ $runs -le $runs_most ] || runs_most=$runs
done
is "$cuts cuts: the device was whole after each" "$broken" 0
is "and the update came, in at most $runs_most runs" "$stuck" 0
less "bytes that a closed connection costs" "${most[fin]}" $overhead
less "bytes that a reset costs" "${most[rst]}" $((overhead + in_flight))

# A link on which no run ever brings as much as one unit of resuming.
echo fin >"$proxy/how"
device_reset "$memory/saved"
passed_mark
limit each 30000
came=1
for ((runs = 0; runs < 40 && came != 0; runs++)); do
    once
    came=$rc
done
no_limit
device_look
is "connections of 30,000 bytes: the update comes" "$came $problem $current" "0  $new"
all=$(passed)
connections=$(wc -l <"$proxy/log")
printf '# %d runs, %d connections, %d bytes\n' "$runs" "$connections" "$all"
less "and next to nothing comes twice" "$all" $((whole + connections * 4096))
