# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
# Sourced first: a device with 20 kB of model that its configuration file tells what to do, and a registry with three releases.
# In mounts of its own, for new_boot.

without_scene=1
# shellcheck source=scripts/e2e/world.sh
. "$(dirname "${BASH_SOURCE[0]}")/world.sh"
need_root "$@"
own_boots "$0" "$@"
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"
# shellcheck source=scripts/e2e/device.sh
. "$e2e_dir/device.sh"
new_boot
device_scene
start_registry reg --scene "$world_dir/device-small"
device_is oci "$run_dir/device" device/tiny
mkdir -p "$device/state" "$device/root"
app=$(reg reg)/device/tiny
one=$(manifest_digest reg device/tiny 1)
two=$(manifest_digest reg device/tiny thin-2)
three=$(manifest_digest reg device/tiny thin-3)

# runs: the manifest that the name of a layout folder stands for.
runs() { jq -r '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == "prod") | .digest' "$endpoint/index.json"; }

# conf JSON: the configuration from now on; what every test needs is added.
conf() {
    jq -n --argjson more "$1" --arg ref "$followed" --arg engine "$engine" --arg folder "$endpoint" --arg state "$device/state" \
        '{reference: $ref, engine: $engine, endpoint: $folder, state: $state, registry: {plain_http: true}} + $more' >"$run_dir/conf.json"
}
# p VERB [ARGUMENT]...: stdout in $out, stderr in $err, status in $rc; the shell's word about a process that was killed is not wanted.
p() {
    rc=0
    { "$veneer_pull" "$1" --config "$run_dir/conf.json" --format json "${@:2}" >"$out" 2>"$err" || rc=$?; } 2>/dev/null
}
# p_faulty SETTINGS VERB [ARGUMENT]...: p below the shim for write points (power.sh); SETTINGS such as "AT=7 DO=after".
p_faulty() {
    local set
    read -ra set <<<"$1"
    rc=0
    { faulty "${set[@]}" "$veneer_pull" "$2" --config "$run_dir/conf.json" --format json "${@:3}" >"$out" 2>"$err" || rc=$?; } 2>/dev/null
}
outcome() { jq -r .outcome "$out" 2>/dev/null; }
state() { p status && jq -r "$1" "$out"; }
# fresh: a device that holds nothing.
fresh() {
    rm -rf "$device/state" "$endpoint"
    mkdir -p "$device/state" "$endpoint"
}
# has_releases TAG...: a new device that ran these.
has_releases() {
    local tag
    fresh
    conf '{}'
    for tag in "$@"; do
        set_channel device/tiny "$tag"
        p once
        [ "$rc" = 0 ] || die "release $tag does not come: exit $rc, $(tail -n 2 "$err")"
    done
}
# script NAME WORDS: a command for the configuration, $run_dir/NAME.
script() {
    printf '#!/bin/sh\n%s\n' "$2" >"$run_dir/$1"
    chmod 755 "$run_dir/$1"
}
runs_command() { printf '{"%s": {"command": ["%s"]}}' "$1" "$2"; }

no_check=$(runs_command check /nonexistent/check)
# sealed TAG: an update to it is begun, and waits for its check; what is configured then asks for none.
sealed() {
    set_channel device/tiny "$1"
    conf "$no_check"
    p once
    [ "$(state .step)" = sealed ] || die "the update is not sealed: exit $rc, $(tail -n 2 "$err")"
    conf '{}'
}
# put_index TAG NAME...: these names stand for an index around the image of TAG.
put_index() {
    local name
    manifest reg device/tiny "$1" >"$run_dir/manifest"
    jq -n --arg digest "$(manifest_digest reg device/tiny "$1")" --argjson size "$(stat -c %s "$run_dir/manifest")" \
        --arg type "$(jq -r .mediaType "$run_dir/manifest")" \
        '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
          manifests: [{mediaType: $type, digest: $digest, size: $size, platform: {os: "linux", architecture: "amd64"}}]}' >"$run_dir/list"
    for name in "${@:2}"; do
        curl -sf --noproxy '*' -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary "@$run_dir/list" \
            "$(reg_url reg)/v2/device/tiny/manifests/$name" >/dev/null
    done
}

sign() { # KEY TAG [OPTION]...
    local with=$1 tag=$2
    shift 2
    "$veneer" sign -q --key "$run_dir/$with.key" "$@" "$app:$tag" >/dev/null
}
new_key() { # NAME...
    local name
    for name in "$@"; do
        openssl genpkey -algorithm ed25519 -out "$run_dir/$name.key" 2>/dev/null
        openssl pkey -in "$run_dir/$name.key" -pubout -out "$run_dir/$name.pub" 2>/dev/null
    done
}
# believes JSON KEY...: the configuration, with these keys.
believes() {
    conf "$(jq -nc --arg dir "$run_dir" --argjson more "$1" '$ARGS.positional | {trust: {keys: [.[] | "\($dir)/\(.).pub"]}} + $more' --args "${@:2}")"
}
