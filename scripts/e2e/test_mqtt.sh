#!/usr/bin/env bash
# A message instead of polling: a real broker, the helper that wakes the watcher, and the hook that reports to a device twin.
# shellcheck disable=SC2034
without_scene=1
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"
# shellcheck source=scripts/e2e/device.sh
. "$e2e_dir/device.sh"
dist=$tree_dir/cmd/veneer-pull/dist
mqtt=$run_dir/mqtt
port=$(free_port)
export VENEER_MQTT_DIR=$mqtt VENEER_PULL=$veneer_pull

# start NAME COMMAND...: in the background, its words in $run_dir/NAME/log. It is ended with all that it started.
start() {
    local name=$1
    shift
    mkdir -p "$run_dir/$name"
    setsid "$@" >"$run_dir/$name/log" 2>&1 </dev/null &
    echo "-$!" >"$run_dir/$name/pid"
}
# heard NAME N: the subscriber NAME got as many lines.
heard() { [ "$(wc -l <"$run_dir/$1/log")" -ge "$2" ]; }
publish() { mosquitto_pub -h 127.0.0.1 -p "$port" -q 1 "$@"; }
subscribed() {
    publish -t "probe/$1" -m probe
    heard "$1" 1
}
polls() { [ "$(grep -c "names\\|runs" "$run_dir/watch/log")" -ge "$1" ]; }
active_is() {
    pull status
    [ "$(active_release "$out")" = "$1" ]
}

device_scene
start_registry reg --scene "$world_dir/device-small"
device_is oci "$run_dir/device" device/tiny
mkdir -p "$mqtt" "$device/root"
cat >"$mqtt/config.json" <<END
{
  "reference": "$followed", "engine": "oci", "endpoint": "$endpoint", "state": "$device/state",
  "poll": { "every": "7d", "splay": "1s" },
  "registry": { "plain_http": true },
  "hooks": {
    "any": ["/usr/bin/env", "VENEER_MQTT_DIR=$mqtt", "$dist/veneer-pull-twin"]
  }
}
END
printf -- '-h 127.0.0.1\n-p %s\n-t fleet/update\n-q 1\n' "$port" >"$mqtt/mosquitto_sub"
printf -- '-h 127.0.0.1\n-p %s\n' "$port" >"$mqtt/mosquitto_pub"
set_channel device/tiny 1
first=$(manifest_digest reg device/tiny 1)
second=$(manifest_digest reg device/tiny thin-2)

printf 'listener %s 127.0.0.1\nallow_anonymous true\nuser root\n' "$port" >"$run_dir/mosquitto.conf"
start broker mosquitto -c "$run_dir/mosquitto.conf"
wait_for 30 "the broker" "$run_dir/broker/log" publish -t probe/broker -m probe
# shellcheck disable=SC2016 # IoT Hub's topics begin with a dollar
start twin mosquitto_sub -h 127.0.0.1 -p "$port" -v -q 1 -t probe/twin -t '$iothub/twin/PATCH/properties/reported/+'
wait_for 30 "the twin" "$run_dir/twin/log" subscribed twin
start watch "$veneer_pull" watch --config "$mqtt/config.json"
wait_for 60 "the first poll" "$run_dir/watch/log" polls 1
if active_is "$first"; then ok "the first poll installs"; else not_ok "the first poll installs" "$(what_it_said)"; fi

# A retained message is there when the helper subscribes, so that it shows when it does.
set_channel device/tiny thin-2
start helper "$dist/veneer-pull-mqtt" --config "$mqtt/config.json"
publish -t fleet/update -r -m 'there is
news'
wait_for 60 "the woken poll" "$run_dir/watch/log" polls 2
if active_is "$second"; then ok "a message wakes the watcher"; else not_ok "a message wakes the watcher" "$(what_it_said)"; fi
hasnt "the helper complains about nothing" "$run_dir/helper/log" veneer-pull

wait_for 30 "the report" "$run_dir/twin/log" grep -q "$second" "$run_dir/twin/log"
# shellcheck disable=SC2016
sed -n 's/^$iothub\/twin\/PATCH\/properties\/reported\/?$rid=[0-9]* //p' "$run_dir/twin/log" >"$run_dir/reported"
is "reports are JSON" "$(jq -e '.veneer | type' <"$run_dir/reported" | sort -u)" '"object"'
is "what is active" "$(tail -n 1 "$run_dir/reported" | jq -r '.veneer | "\(.staged) \(.active)"')" "$second $second"
is "what was before it" "$(head -n 1 "$run_dir/reported" | jq -r .veneer.active)" "$first"
pull status
is "its label" "$(tail -n 1 "$run_dir/reported" | jq -r .veneer.label)" "$(json '.releases[0].label')"

# Staged only, with a label that tries to say more.
start own mosquitto_sub -h 127.0.0.1 -p "$port" -q 1 -t probe/own -t own/topic
wait_for 30 "a topic of one's own" "$run_dir/own/log" subscribed own
VENEER_EVENT=staged VENEER_DIGEST=$second VENEER_LABEL='x","active":"y' "$dist/veneer-pull-twin" own/topic
wait_for 30 "its report" "$run_dir/own/log" grep -q veneer "$run_dir/own/log"
is "a staged release is no active one" "$(grep veneer "$run_dir/own/log" | jq -c .)" \
    "{\"veneer\":{\"staged\":\"$second\",\"label\":\"xactive:y\"}}"
VENEER_EVENT=fetching VENEER_DIGEST=$second "$dist/veneer-pull-twin" own/topic
is "other events are not reported" "$(grep -c veneer "$run_dir/own/log")" 1

# Without a watcher the helper says so and goes on.
stop_pidfile "$run_dir/watch/pid"
publish -t fleet/update -m again
wait_for 30 "a word about nobody" "$run_dir/helper/log" grep -q "nobody watches" "$run_dir/helper/log"
check "the helper still listens" kill -0 -- "$(cat "$run_dir/helper/pid")"
stop_pidfile "$run_dir/broker/pid"
