#!/usr/bin/env bash
# What a device leaves alone and what it goes back to, what it follows, and what keeps it from changing anything.
# shellcheck disable=SC2016
# shellcheck source=scripts/e2e/tiny.sh
. "$(dirname "${BASH_SOURCE[0]}")/tiny.sh"
build_tools
script wanting 'exit 1'
wanting_check=$(runs_command check "$run_dir/wanting")
wanting_health=$(runs_command health "$run_dir/wanting")

# ---- a first installation that does not pass
fresh
set_channel device/tiny 1
conf "$wanting_check"
p once
status "a first image that fails its check" 1
has "nothing ran before, and nothing else is said" "$err" "nothing runs here yet"
wire_mark reg
p once
is "it is not fetched again" "$(outcome) $(pulled_bytes reg)" "refused-before 0"
conf '{}'
p once --now
is "until that is ordered" "$(runs)" "$one"

# ---- what runs is lost, and another one is held
has_releases 1 thin-2
conf "$wanting_check"
set_channel device/tiny thin-3
p once
jq --arg digest "$two" '.manifests |= map(select(.digest != $digest))' "$endpoint/index.json" >"$run_dir/kept"
cp "$run_dir/kept" "$endpoint/index.json"
conf '{}'
p once
is "the one that is held takes its place, and no refused one" "$(runs) $(outcome)" "$one refused-before"

# ---- refused by another name, and with another refusal behind it
has_releases 1 thin-2
conf "$wanting_health"
set_channel device/tiny thin-3
p once
is "the third is not healthy" "$(runs)" "$two"
"$veneer" copy -q "$(reg reg)/device/app:2" "oci:$run_dir/other:prod" >/dev/null
p import "$run_dir/other"
is "nor what is on a stick" "$rc $(runs)" "1 $two"
conf '{}'
p once
is "the third is still left alone" "$(outcome) $(runs)" "refused-before $two"
put_index thin-3 prod
p once
is "and under an index as well" "$(outcome) $(runs)" "refused-before $two"
set_channel device/tiny thin-2
p once
set_channel device/tiny thin-3
p once
is "and when its name comes back" "$(outcome) $(runs)" "refused-before $two"
p once --now
is "until that is ordered" "$(runs)" "$three"
has_releases 1 thin-2
p rollback
set_channel device/tiny thin-3
p once
set_channel device/tiny thin-2
p once
is "what was only left by order comes back with its name" "$(runs)" "$two"

# ---- a clock that was right once
new_key a
has_releases 1
sign a 1
believes '{}' a
p once
sign a thin-2 --expires 24h
set_channel device/tiny thin-2
fault_begin veneer-pull "$device"
p_faulty "CLOCK=$(($(date +%s) + 3 * 86400))" once
status "a signature that is over" 1
p_faulty CLOCK=86400 once
status "is over with a clock in 1970 too" 1
is "what ran runs" "$(runs)" "$one"

# ---- hands off
has_releases 1
sealed thin-2
conf '{"inhibit": "'"$run_dir"'/inhibit"}'
touch "$run_dir/inhibit"
p once
is "the inhibit file holds for an update that is begun" "$rc $(runs)" "1 $one"
"$veneer" copy -q "$app:thin-3" "oci:$run_dir/3:prod" >/dev/null
p import "$run_dir/3"
is "and for one on a stick" "$rc $(runs)" "1 $one"
rm "$run_dir/inhibit"
p once
is "and no longer" "$rc $(runs)" "0 $two"

# ---- somebody puts another image there while an update is begun
"$veneer" copy -q "$(reg reg)/device/app:2" "$app:other" >/dev/null
has_releases 1
sealed thin-2
"$veneer" copy -q --move-tag "$app:other" "oci:$endpoint:prod" >/dev/null
conf "$wanting_health"
p once
is "what they put there is what is gone back to" "$rc $(runs)" "1 $(manifest_digest reg device/tiny other)"

# ---- a first command that was wrong
fresh
rc=0
"$veneer_pull" once --state "$device/state" --engine rootfs --endpoint "$endpoint" --plain-http "$(reg reg)/device/nothing:prod" >"$out" 2>"$err" || rc=$?
check "a wrong name fails" test "$rc" -gt 2
set_channel device/tiny 1
conf '{}'
p once
is "and the right one works in the same folder, with another engine" "$rc $(runs)" "0 $one"
set_channel device/tiny thin-2
p once
p once "${followed%:prod}:prdo"
check "a misspelt tag fails" test "$rc" -gt 2
is "and nothing has that name" "$(jq -r '[.manifests[].annotations["org.opencontainers.image.ref.name"] | select(. == "prdo")] | length' "$endpoint/index.json")" 0
rc=0
"$veneer_pull" rollback --engine oci --endpoint "$endpoint" --state "$device/state" --format json >"$out" 2>"$err" || rc=$?
is "a rollback is still about what is followed" "$rc $(runs)" "0 $one"

# ---- a health command that the release brings itself, or should
engine=rootfs
has_releases 1 thin-2
tree=$(readlink "$endpoint/current")
conf '{"health": {"command": ["'"$endpoint"'/current/usr/bin/nothing"]}}'
set_channel device/tiny thin-3
p once
status "a release that lacks its own health command" 1
is "is not healthy" "$(readlink "$endpoint/current")" "$tree"
conf '{"health": {"command": ["/nonexistent/health"]}}'
p once --now
status "one that the device lacks" 3
is "says nothing about it" "$(state '.releases[] | select(.active) | .digest')" "$three"
set_channel device/tiny thin-2
p once
is "and keeps no other release away" "$(state '.releases[] | select(.active) | .digest')" "$two"
# a manifest that is gone
blob="$device/state/store/blobs/sha256/${one#sha256:}"
[ -e "$blob" ] || die "no manifest at $blob"
rm "$blob"
p verify
status "a release that cannot be gone back to is found by verify" 4
engine=oci

# ---- money
device_is oci "$run_dir/device" device/app
fresh
conf '{}'
set_channel device/app 1
p once
set_channel device/app 3
month=$(state .month.bytes)
conf '{"budget": {"month": '$((month + 2200000))'}}'
fault_begin veneer-pull "$device/state/staging"
p_faulty "AT=8 DO=after" once
is "killed in the middle" "$rc" 137
for _ in 1 2 3; do
    fault_begin veneer-pull "$device/state/staging"
    p_faulty "AT=14 DO=after" once
done
p once
status "what has come is not paid twice" 0
month=$(state .month.bytes)
p_faulty CLOCK=1767312000 once
is "a clock that goes back a month" "$(state .month.bytes | awk -v m="$month" '{ print ($1 >= m) }')" 1
device_is oci "$run_dir/device" device/tiny

# ---- back to what is whole
has_releases 1 thin-2
layer=$(jq -r '.layers[-1].digest' "$endpoint/blobs/sha256/${two#sha256:}")
set_channel device/tiny thin-3
script breaks 'rm -f "'"$endpoint"'/blobs/sha256/'"${layer#sha256:}"'"; exit 1'
conf "$(runs_command health "$run_dir/breaks")"
p once
is "the one before the last, when the last is not whole" "$rc $(runs)" "1 $one"

# ---- an update that is dropped
names() { jq -r '[.manifests[].annotations["org.opencontainers.image.ref.name"] | select(startswith("0-veneer"))] | length' "$endpoint/index.json"; }
has_releases 1 thin-2
new_key b
sign b thin-3
sign a thin-2
set_channel device/tiny thin-3
believes "$no_check" b
p once
is "begun" "$(state .step) $(names)" "sealed 3"
believes '{}' a
sign a 1
set_channel device/tiny 1
p once
is "its key is gone, another release runs: nothing of it is left" "$(runs) $(names)" "$one 2"

# ---- counters in both forms
sign a thin-2 --release 4
sign a 1 --release 5
p once --now
is "the counter is learned" "$(state '.releases[] | select(.active) | .counter')" 5
sign a thin-2 --release 6 --bundle
set_channel device/tiny thin-2
p once
is "the higher one counts, whatever form it has" "$rc $(runs)" "0 $two"

# ---- a watcher with orders that cannot be carried out
believes '{}' nothing
rc=0
timeout 20 "$veneer_pull" watch --config "$run_dir/conf.json" >"$out" 2>"$err" || rc=$?
check "a watcher without its key ends at once" test "$rc" -ge 2 -a "$rc" -lt 124
head -c 3000000 /dev/zero | tr '\0' ' ' >"$run_dir/conf.json"
p status
status "a configuration that is too large" 2
