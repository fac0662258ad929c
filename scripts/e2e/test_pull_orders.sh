#!/usr/bin/env bash
# What a person orders on a device, and what must not come of it: a dry run, a rollback after an automatic one, a pin of a release on
# trial, a stick with the wrong delta; commands that take the device down; keys that change while an update is begun; what an update
# that was given up leaves.
# shellcheck disable=SC2016
# shellcheck source=scripts/e2e/tiny.sh
. "$(dirname "${BASH_SOURCE[0]}")/tiny.sh"
# What the registry's connections taught is nobody's state.
remember() { (cd "$device" && find . -type f ! -name connections.json -exec sha256sum {} + | sort) >"$run_dir/remembered$1"; }
changes() {
    remember -now
    diff "$run_dir/remembered" "$run_dir/remembered-now" || true
}
script good 'exit 0'
script wanting 'exit 1'
script deadly 'echo "$VENEER_DIGEST" >>"$(dirname "$0")/starts"; kill -KILL $PPID'
deadly_check=$(runs_command check "$run_dir/deadly")
deadly_health=$(runs_command health "$run_dir/deadly")
good_health=$(runs_command health "$run_dir/good")
wanting_health=$(runs_command health "$run_dir/wanting")

# ---- a dry run changes nothing
has_releases 1
sealed thin-2
set_channel device/tiny thin-3
remember ""
p once --dry-run
status "a dry run, with another update begun" 1
is "it plans" "$(jq -r .dry_run "$out")" true
is "and changes nothing" "$(changes)" ""
set_channel device/tiny 1
p once --dry-run
status "a dry run with the channel back at what runs" 0
is "changes nothing either" "$(changes)" ""
has_releases 1 thin-2
set_channel device/tiny 1
remember ""
p once --dry-run
has "a dry run knows what is held" <(jq -r .sentence "$out") "held here"
is "and leaves it" "$(changes)$(runs)" "$two"
rm -rf "$device/state" "$endpoint"
mkdir -p "$device/state"
"$veneer" copy -q "$app:1" "oci:$endpoint:prod" >/dev/null
set_channel device/tiny thin-2
before=$(sha256sum "$endpoint/index.json")
p once --dry-run
status "a dry run over somebody else's image" 1
has "knows the delta from it" <(jq -r .sentence "$out") "a delta"
is "and does not take it over" "$(sha256sum "$endpoint/index.json") $(state '.releases | length')" "$before 0"
conf '{}'
p once
is "an earnest one does" "$(runs) $(state '.releases | length')" "$two 2"

# ---- back, after the device went back by itself
has_releases 1 thin-2
set_channel device/tiny thin-3
conf "$wanting_health"
p once
status "a release that is not healthy" 1
is "the one before it runs" "$(runs)" "$two"
conf '{}'
p rollback
status "a rollback then" 0
is "goes to the one before that" "$(runs)" "$one"
p rollback "${three:7:12}"
status "by its name, one that was not healthy runs" 0
is "it does" "$(runs)" "$three"
has_releases thin-2
set_channel device/tiny thin-3
conf "$wanting_health"
p once
p rollback
status "no other but the unhealthy one" 3
has "says so" "$err" "not healthy"

# ---- orders that are wrong say nothing of the device
p once --now
failures=$(state .failures)
reason=$(state .error.sentence)
p rollback nobody
p import "$run_dir/nothing"
is "a misspelt order is no failed update" "$(state .failures) $(state .error.sentence)" "$failures $reason"
conf '{}'
p pin
is "an order that goes well does not take back what failed" "$(state .error.sentence)" "$reason"

# ---- a pin and a trial
has_releases 1
set_channel device/tiny thin-2
conf "$deadly_health"
p once
is "on trial" "$(state '.releases[] | select(.active) | "\(.digest) \(.on_trial)"')" "$two true"
conf "$wanting_health"
p pin
status "one that is not healthy is not pinned" 1
is "but left" "$(runs) $(state '[.releases[] | select(.pinned)] | length')" "$one 0"
conf "$deadly_health"
p once --now
conf "$good_health"
p pin
status "a healthy one is pinned" 0
is "and its trial is over" "$(state '.releases[] | select(.active) | "\(.digest) \(.on_trial)"')" "$two false"

# ---- a command that takes the device down each time
rm -f "$run_dir/starts"
has_releases 1
set_channel device/tiny thin-2
conf "$deadly_health"
p once
p once
p once
is "a program that is killed is no device that goes down" "$rc $(runs)" "137 $two"
for _ in 1 2; do
    new_boot
    p once
    [ "$rc" = 137 ] || not_ok "the device goes down" "exit $rc"
done
new_boot
p once
status "the fourth run does not start the health command" 1
is "which was started in three runs of the kernel, in the first of them three times" "$(grep -c "$two" "$run_dir/starts")" 5
has "it says why" "$err" "was started 3 times"
is "the release before runs" "$(runs)" "$one"
p once
is "and the bad one is left alone" "$(outcome)" refused-before
rm -f "$run_dir/starts"
has_releases 1
set_channel device/tiny thin-2
conf "$deadly_check"
for _ in 1 2 3; do
    p once
    new_boot
done
p once
status "the fourth run does not start the check" 1
is "which was started three times as well" "$(grep -c "$two" "$run_dir/starts")" 3
is "what ran runs" "$(runs)" "$one"
fresh
rm -f "$run_dir/starts"
conf "$deadly_health"
for _ in 1 2 3; do
    p once
    new_boot
done
set_channel device/tiny thin-3
p once
is "with nothing to go back to, the next release is taken instead" "$(runs)" "$three"

# ---- {image} in arguments
has_releases 1
set_channel device/tiny thin-2
script told 'printf "%s\n" "$@" >"$(dirname "$0")/told.txt"'
conf '{"check": {"command": ["'"$run_dir"'/told", "a={image},b={image}", "{image", "{image}"]}}'
p once
image=$(tail -n 1 "$run_dir/told.txt")
is "{image} is replaced wherever it stands" "$(xargs <"$run_dir/told.txt")" "a=$image,b=$image {image $image"
has "by something that others can open" <(echo "$image") "$endpoint"

# ---- a configuration that looks like protection and is none
for object in health check trust; do
    conf '{"'$object'": {}}'
    p once
    status "an empty \"$object\"" 2
    has "says what is missing in \"$object\"" "$err" '" has no "'
done
conf '{"engine": "docker"}'
p status
status "an engine that is none" 2
has "names those there are" "$err" "moby, containerd"
conf '{"state": "'"$run_dir"'/good"}'
p status
status "a file as state folder" 2
conf '{"trust": {"keys": ["'"$run_dir"'/nothing.pub"]}}'
wire_mark reg
p once
check "a key that is not there is told at once" test "$rc" -ge 2
is "and nobody is asked" "$(wire reg | wc -l)" 0

# ---- from a stick
usb=$run_dir/usb
for tag in 1 thin-2 thin-3; do "$veneer" copy -q "$app:$tag" "oci:$usb:$tag" >/dev/null; done
"$veneer" delta make -o "$run_dir/2-to-3.oci" "oci:$usb:thin-2" "oci:$usb:thin-3" >/dev/null 2>&1
has_releases 1
p import "$run_dir/2-to-3.oci"
status "a delta that starts from another release" 1
has "says from which" "$err" "starts from ${two:0:19}"
is "what ran runs" "$(runs)" "$one"
p import "$usb"
status "a stick with three images" 2
has "says what a file to import has" "$err" "under the tag prod"
has_releases thin-2
mkdir "$run_dir/bad"
tar -C "$run_dir/bad" -xf "$run_dir/2-to-3.oci"
largest=$(find "$run_dir/bad/blobs" -type f -printf '%s %p\n' | sort -rn | head -n 1 | cut -d' ' -f2-)
printf XXXX | dd of="$largest" bs=1 seek=64 conv=notrunc 2>/dev/null
p import "$run_dir/bad"
status "a damaged delta" 4
is "what ran runs still" "$(runs)" "$two"
conf '{"reserve": "900GB"}'
p import "$run_dir/2-to-3.oci"
status "no room for it" 1
has "is what is said" "$err" "must stay free"
conf '{}'
stop_registry reg
p import "$run_dir/2-to-3.oci"
status "the good delta after all that, without network" 0
is "brings the third" "$(runs)" "$three"
restart_registry reg

# ---- keys that change while an update is begun
new_key a b
has_releases 1
sign a 1 --release 9
believes '{}' a
p once
is "what ran before there were keys is current" "$(outcome)" current
is "and its counter is learned" "$(state '.releases[0].counter')" 9
sign a thin-2 --release 4
set_channel device/tiny thin-2
p once
status "so that a lower one is refused" 1
sign a thin-2 --release 10
believes "$no_check" a
p once
is "an update is begun with one key" "$(state .step)" sealed
believes '{}' b
p once
status "that key is not trusted any more" 1
is "so it does not run" "$(runs)" "$one"
believes "$no_check" a
p once --now
believes '{}' b a
wire_mark reg
p once
status "a key more" 0
is "it runs" "$(runs)" "$two"
is "and nobody was asked" "$(wire reg | wc -l)" 0
until=$(date -u -d '+6 seconds' +%FT%TZ)
sign a thin-3 --release 11 --expires "$until"
set_channel device/tiny thin-3
believes "$no_check" a
p once
is "an update is begun before its signature expires" "$(state .step)" sealed
while [ "$(date -u +%FT%TZ)" \< "$until" ] || [ "$(date -u +%FT%TZ)" = "$until" ]; do sleep 0.5; done
believes '{}' a
p once
status "it expires before it runs" 1
has "and that is said" "$err" "was good until"
is "the one before runs" "$(runs)" "$two"

# ---- what an update that was given up leaves in a folder that others use
orphans() {
    local m
    comm -13 <(jq -r '.manifests[].digest' "$endpoint/index.json" | while read -r m; do
        echo "${m#*:}"
        jq -r '.config.digest, .layers[].digest' "$endpoint/blobs/sha256/${m#*:}" | cut -d: -f2
    done | sort -u) <(find "$endpoint/blobs/sha256" -type f -printf '%f\n' | sort)
}
"$veneer" copy -q "$(reg reg)/device/app:2" "$app:other" >/dev/null
has_releases thin-2
set_channel device/tiny other
config=$(manifest reg device/tiny other | jq -r .config.digest)
file=$(find "$run_dir/reg/data/docker/registry/v2/blobs" -path "*/${config#sha256:}/data")
layer=$(manifest reg device/tiny other | jq -r '.layers[-1].digest')
layer_file=$(find "$run_dir/reg/data/docker/registry/v2/blobs" -path "*/${layer#sha256:}/data")
cp "$layer_file" "$run_dir/layer"
rm "$layer_file"
p once
check "an image of which a part is missing does not come" test "$rc" -gt 2
check "the rest of it is there" test -n "$(orphans)"
printf half >"$endpoint/blobs/sha256/.tmp-killed"
printf busy >"$endpoint/blobs/sha256/.tmp-writing"
printf theirs >"$endpoint/blobs/sha256/$(printf theirs | sha256sum | cut -c1-64)"
flock "$endpoint/blobs/sha256/.tmp-writing" sleep 30 &
locker=$!
set_channel device/tiny thin-3
p once
status "the release after it comes" 0
is "nothing of it is left, and what is not ours is" "$(orphans | xargs)" ".tmp-writing $(printf theirs | sha256sum | cut -c1-64)"
kill "$locker" 2>/dev/null || true
wait "$locker" 2>/dev/null || true
cp "$run_dir/layer" "$layer_file"
check "the missing part is back" test -s "$file"

# ---- a run that ends between the engine and the journal, and then an order
build_tools
has_releases 1 thin-2
old=$two new=$three
set_channel device/tiny thin-3
device_save "$run_dir/saved"
fault_begin veneer-pull "$device"
pull_faulty LOG="$run_dir/points" --
points=$(fault_points)
wrong=''
seen=''
for ((i = points - 60 > 0 ? points - 60 : 1; i <= points; i++)); do
    device_reset "$run_dir/saved"
    pull_faulty AT="$i" DO=after --
    was=$(runs)
    pull rollback
    want=$two
    [ "$was" = "$three" ] || want=$one
    seen+=" ${was:7:4}"
    [ "$rc $(runs)" = "0 $want" ] || wrong+=" $i: exit $rc, ${was:7:4} became $(runs | cut -c8-11): $(tail -n 2 "$err" | head -n 1)"
    pull status
    [ "$(jq '[.releases[] | select(.activated == null)] | length' "$out")" = 0 ] || wrong+=" $i: a release that never ran is held"
    [ "$(active_release "$out")" = "$(runs)" ] || wrong+=" $i: the journal says $(active_release "$out" | cut -c8-11)"
done
printf "# after each kill:%s\n" "$seen"
is "after a kill anywhere near the switch a rollback goes one release back" "$wrong" ""
check "the kills were on both sides of it" test "$(tr ' ' '\n' <<<"$seen" | sort -u | grep -c .)" = 2
