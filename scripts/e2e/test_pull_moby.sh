#!/usr/bin/env bash
# The way of a vehicle: dockerd pulled the base itself; three releases of a model come by veneer-pull; the containers answer as the
# images that CI built; back and forth; a forced clean-up of everything; an engine that was stopped; a registry that was not there.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"
"$e2e_dir/small_thin.sh"
start_registry reg --scene "$world_dir/small-thin"
start_dockerd car
repo=$(reg reg)/tempanomaly
state=$run_dir/state
channel() { "$veneer" copy -q --move-tag "$repo:$1" "$repo:prod" >/dev/null; }
p() {
    rc=0
    "$veneer_pull" "$1" --engine moby --endpoint "unix://$run_dir/car/sock" --state "$state" "${@:2}" >"$out" 2>"$err" || rc=$?
}
once() { p once --plain-http --format json "$repo:prod"; }
answers() { is "$1" "$(answers_of car "$repo:prod" | sha256sum)" "$(scene_answers "tempanomaly-small-$2" | sha256sum)"; }
tags() { on car images --format '{{.Tag}}' | sort | xargs; }

# ---- what the orchestrator pulled is taken over
channel small-1
on car pull -q "$repo:prod" >/dev/null
wire_mark reg
once
status "the base is taken over" 0
is "nothing is newer" "$(json .outcome)" current
is "manifest and configuration were asked for once" "$(blob_gets reg)" 1
answers "the base answers" 1

# ---- three releases
channel thin-2
wire_mark reg
once
status "the first release by a delta" 0
is "one HEAD, one GET" "$(wire reg | awk '{ print $1 }' | xargs)" "HEAD GET"
is "it runs" "$(json .digest)" "$(manifest_digest reg tempanomaly thin-2)"
answers "it answers as the image that CI built" 2
channel thin-3
once
status "the second" 0
answers "it answers too" 3
p status --format json
is "the releases that are held" "$(json '[.releases[].how] | join(" ")')" "delta delta adopted"
is "the base is pinned" "$(json .base_pinned)" true
p status
has "status for people begins with what runs" "$out" "$repo"

# ---- back without a network
stop_registry reg
p rollback --format json
status "rollback" 0
answers "the release before answers" 2
once
status "no registry: try again" 5
answers "and what runs goes on" 2
p status --format json
is "one failure is counted" "$(json .failures)" 1
restart_registry reg
p once --plain-http "$(reg reg)/another:prod"
status "another repository takes another state folder" 2

# ---- others clean up
is "no container is left behind, but those that keep images" "$(on car ps -a --format '{{.Names}}' | grep -v '^veneer-keep-')" ""
before=$(tags)
on car create --name app "$repo:prod" true >/dev/null
on car image prune -af >/dev/null
is "a forced prune of unused images takes one of two names of what runs" "$(tags)" "${before/0-veneer-$(p status --format json && json '.releases[0].digest[7:19]') /}"
p rollback "$(p status --format json && json '.releases[1].digest')"
status "to another release" 0
p rollback "$(p status --format json && json '.releases[1].digest')"
status "and back" 0
answers "the release answers" 2
ids=$(on car images --format '{{.ID}} {{.Tag}}' | awk '$2 !~ /^veneer-pin-/ { print $1 }' | sort -u)
on car rm app >/dev/null
on car container prune -f >/dev/null
# shellcheck disable=SC2086
on car rmi -f $ids >/dev/null 2>&1 || true
is "a forced removal of all leaves the pin alone" "$(tags | sed 's/veneer-pin-[0-9a-f]*/pin/')" "pin"

# ---- and all comes back on the base that the pin kept
channel thin-2
wire_mark reg
once
status "the release comes back" 0
answers "it answers" 2
less "from what the device held" "$(pulled_bytes reg)" 30000

# ---- an engine that is away
stop_dockerd car
once
status "without its engine: try again" 5
has "says which engine" "$err" "sock"
start_dockerd car
once
status "with it all is well" 0
p verify
status "what is held is sound" 0
mapfile -t base < <(find "$run_dir/car/data" -path '*/diff/usr/bin/tar' | head -n 1)
flip "${base[@]}"
p verify --format json
status "a byte of the base is another one" 4
has "says of which file" "$out" usr/bin/tar
flip "${base[@]}"
p verify
status "and is what it was" 0
p gc --format json
status "gc" 0
answers "and the release still answers" 2
