#!/usr/bin/env bash
# What goes wrong on a device, and that it comes out of it: damaged and lost parts of what it holds, a switch that ends in the middle,
# hooks that take it down, a journal that cannot be read, counters that are learned late.
# shellcheck disable=SC2016
# shellcheck source=scripts/e2e/tiny.sh
. "$(dirname "${BASH_SOURCE[0]}")/tiny.sh"
build_tools
script good 'exit 0'
script wanting 'exit 1'
script deadly 'kill -KILL $PPID'

# ---- a damaged manifest of a release that does not run
"$veneer" copy -q "$(reg reg)/device/app:2" "$app:other" >/dev/null
other=$(manifest_digest reg device/tiny other)
has_releases 1 thin-2
printf X >>"$endpoint/blobs/sha256/${one#sha256:}"
set_channel device/tiny other
p once
status "an update beside a damaged manifest" 0
is "it runs" "$(runs)" "$other"
set_channel device/tiny thin-3
p once
status "and the one after it" 0
is "runs too" "$(runs)" "$three"
p verify
status "the damage is found" 4

# ---- an update in the engine that somebody removed from it
has_releases 1
sealed thin-2
jq '.manifests |= map(select(.annotations["org.opencontainers.image.ref.name"] | startswith("0-veneer") | not))' \
    "$endpoint/index.json" >"$run_dir/index"
cp "$run_dir/index" "$endpoint/index.json"
p once
status "an update that the engine has lost" 0
is "comes again" "$(runs)" "$two"
has_releases 1
sealed thin-2
rm -r "$endpoint"
p once
status "all of it, and all that ran" 0
is "comes again too" "$(runs)" "$two"

# ---- a clean-up while an update waits
has_releases 1 thin-2
sealed thin-3
conf '{"keep": 2}'
p gc
p once
is "what arrives is not cleaned up" "$rc $(runs)" "0 $three"

# ---- a hook that takes the device down
has_releases 1
set_channel device/tiny thin-2
conf '{"hooks": {"active": ["'"$run_dir"'/deadly"]}}'
p once
is "the device goes down in the hook" "$rc" 137
p once
is "and knows the next time what runs" "$rc $(outcome) $(runs)" "0 current $two"

# ---- a check that passed, a switch, a kill, a check that would fail now
has_releases 1
device_save "$run_dir/saved"
set_channel device/tiny thin-2
conf "$(runs_command check "$run_dir/good")"
fault_begin veneer-pull "$device"
p_faulty "AT=100000 DO=after" once
points=$(fault_points)
wrong='' switched=0
for ((i = points - 45; i <= points; i += 2)); do
    device_reset "$run_dir/saved"
    conf "$(runs_command check "$run_dir/good")"
    p_faulty "AT=$i DO=after" once
    was=$(runs)
    [ "$was" != "$two" ] || switched=$((switched + 1))
    conf "$(runs_command check "$run_dir/wanting")"
    p once
    now=$(runs)
    # refused means that the old one runs, and what was given the name stays
    [ "$was" = "$one" ] || [ "$now" = "$two" ] || wrong+=" $i: ${was:7:4} became ${now:7:4}, exit $rc"
    [ "$rc" != 1 ] || [ "$now" = "$one" ] || wrong+=" $i: refused, and it runs"
done
is "a release that was switched to is not refused behind that" "$wrong" ""
check "kills were on both sides of the switch" test "$switched" -gt 2 -a "$switched" -lt 22

# ---- a journal that cannot be read, and a disk that is full in that moment
has_releases 1 thin-2
sealed thin-3
echo '{' >"$device/state/journal.json"
cp "$device/state/journal.old" "$run_dir/before"
fault_begin veneer-pull "$device/state/journal.json"
p_faulty "AT=1 DO=ENOSPC" pin
check "nothing can be written" test "$rc" -gt 0
check "the older journal is still there" cmp -s "$device/state/journal.old" "$run_dir/before"
p once
status "the next run goes on from it" 0
is "with what was begun" "$(runs)" "$three"

# ---- counters that are learned late
new_key a
has_releases 1
sign a 1 --release 5
believes '{}' a
p once
is "five runs" "$(state '.releases[0].counter')" 5
put_index 1 list prod
sign a list --release 9
p once --now
is "an index around it is proved with nine" "$rc $(state '.releases[0].counter')" "0 9"
sign a thin-2 --release 7
set_channel device/tiny thin-2
p once
status "then seven is refused" 1
has_releases 1
believes '{}' a
"$veneer" copy -q "$app:1" "oci:$run_dir/unsigned:prod" >/dev/null
p import "$run_dir/unsigned"
set_channel device/tiny 1
p once
is "an unsigned stick keeps no counter from being learned" "$(state '.releases[0].counter')" 5
conf '{}'
set_channel device/tiny thin-2
p once
is "without keys the registry is believed" "$rc $(runs)" "0 $two"

# ---- what was refused, and other orders
conf "$(runs_command health "$run_dir/wanting")"
set_channel device/tiny thin-3
p once
is "the third is refused" "$(runs)" "$two"
conf '{}'
"$veneer" copy -q "$app:thin-2" "oci:$run_dir/same:prod" >/dev/null
p import "$run_dir/same"
is "a stick with what runs" "$(outcome)" current
p once
is "does not make it forget that" "$(outcome)" refused-before
has_releases 1 thin-2
p rollback
p once
is "what was left by order is left alone" "$(outcome)" refused-before
rm -r "$endpoint"
p once
is "but a device with nothing takes what there is" "$(runs)" "$two"

has_releases thin-2
"$veneer" copy -q "$app:thin-2" "oci:$run_dir/2:prod" >/dev/null
"$veneer" copy -q "$app:thin-3" "oci:$run_dir/3:prod" >/dev/null
"$veneer" delta make -o "$run_dir/2-to-3.oci" "oci:$run_dir/2:prod" "oci:$run_dir/3:prod" >/dev/null 2>&1
has_releases 1
layer=$(manifest reg device/tiny other | jq -r '.layers[-1].digest')
layer_file=$(find "$run_dir/reg/data/docker/registry/v2/blobs" -path "*/${layer#sha256:}/data")
set_channel device/tiny other
mv "$layer_file" "$run_dir/layer"
p once
mkdir -p "$(dirname "$layer_file")"
p import "$run_dir/2-to-3.oci"
status "a stick that does not fit, with half an update there" 1
cp "$run_dir/layer" "$layer_file"
wire_mark reg
p once
status "the update goes on" 0
less "behind what had come" "$(pulled_bytes reg)" 200000

# ---- nothing to go back to by the journal, and a release that nobody found wanting
has_releases 1 thin-2
blob=$(jq -r '.layers[-1].digest' "$endpoint/blobs/sha256/${two#sha256:}")
rm "$endpoint/blobs/sha256/${blob#sha256:}"
conf "$(runs_command health "$run_dir/wanting")"
p once --now
is "a release that is mended, and is not healthy then" "$rc $(runs)" "1 $one"

# ---- keys that are gone do not keep a bad release
has_releases 1
set_channel device/tiny thin-2
conf "$(runs_command health "$run_dir/deadly")"
p once
believes "$(runs_command health "$run_dir/wanting")" nothing
p once
is "what is on trial is judged without them" "$(runs)" "$one"

# ---- a rehearsed clean-up
has_releases 1 thin-2 thin-3
conf '{"keep": 2}'
p gc --dry-run
jq -S '[.findings[].what]' "$out" >"$run_dir/rehearsed"
p gc
is "gc removes what gc --dry-run lists" "$(jq -S '[.findings[].what]' "$out")" "$(cat "$run_dir/rehearsed")"
check "and that is more than a name" test "$(jq length "$run_dir/rehearsed")" -gt 2

# ---- a folder has one name
has_releases 1
conf '{"endpoint": "'"$endpoint"'/", "state": "'"$device/state"'//"}'
p once
status "the same folder with a slash behind it" 0
rc=0
(cd "$device" && "$veneer_pull" once --config "$run_dir/conf.json" --state state --endpoint root >"$out" 2>"$err") || rc=$?
status "and from where it lies" 0

# ---- an unpacked root file system: what runs is where one link points
engine=rootfs
has_releases 1 thin-2
tree_two=$(readlink "$endpoint/current")
for to in '' /nonexistent trees; do
    rm "$endpoint/current"
    [ -z "$to" ] || ln -s "$to" "$endpoint/current"
    p verify
    status "a link to \"$to\" is no sound device" 4
    p once
    is "and is put back" "$rc $(readlink "$endpoint/current")" "0 $tree_two"
    is "nobody has looked since" "$(state '.error == null and .unsound != null')" true
    p verify
    status "then all is sound" 0
    is "and the status says so" "$(state .unsound)" null
done
has_releases 1 thin-2
tree_one=$(find "$endpoint/images" -name "*${one:7:12}" -exec readlink {} + | sed 's,^../,,')
device_save "$run_dir/saved"
conf '{}'
fault_begin veneer-pull "$device"
p_faulty "AT=100000 DO=after" rollback
points=$(fault_points)
wrong=''
for ((i = 1; i <= points; i++)); do
    device_reset "$run_dir/saved"
    p_faulty "AT=$i DO=after" rollback
    p verify
    p pin
    active=$(state '.releases[] | select(.active) | .digest')
    case "$active $(readlink "$endpoint/current")" in
    "$one $tree_one" | "$two $tree_two") ;;
    *) wrong+=" $i: ${active:7:4} and $(readlink "$endpoint/current")" ;;
    esac
    p verify
    [ "$rc" = 0 ] || wrong+=" $i: $(tail -n 2 "$err" | head -n 1)"
done
is "a rollback that is killed anywhere ends on one side" "$wrong" ""
device_reset "$run_dir/saved"
set_channel device/tiny thin-3
conf "$(runs_command health "$run_dir/wanting")"
# it looks at what runs, and finds the third wanting
script honest '[ "$(readlink "'"$endpoint"'/current")" = "'"$tree_two"'" ]'
fault_begin veneer-pull "$device"
p_faulty "AT=100000 DO=after" once
points=$(fault_points)
wrong=''
for ((i = points - 60; i <= points; i += 2)); do
    device_reset "$run_dir/saved"
    conf "$(runs_command health "$run_dir/wanting")"
    p_faulty "AT=$i DO=after" once
    conf "$(runs_command health "$run_dir/honest")"
    p once
    p once
    active=$(state '.releases[] | select(.active) | .digest')
    [ "$active $(readlink "$endpoint/current")" = "$two $tree_two" ] || wrong+=" $i: ${active:7:4} and $(readlink "$endpoint/current")"
done
is "going back that is killed anywhere ends with the good one" "$wrong" ""
