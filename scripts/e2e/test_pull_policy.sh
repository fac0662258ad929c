#!/usr/bin/env bash
# When a device fetches and what keeps a release from running: windows, budgets, the inhibit file, pins, checks, health, hooks;
# the files that machines read; rollback; a release that comes back; the same update from a file.
# shellcheck source=scripts/e2e/tiny.sh
. "$(dirname "${BASH_SOURCE[0]}")/tiny.sh"
quiet_wire() { is "$1: nobody was asked" "$(wire reg | wc -l)" 0; }

# ---- a first install and what stands beside it
conf '{"status_file": "'"$run_dir"'/status.json", "metrics_file": "'"$run_dir"'/metrics.prom"}'
set_channel device/tiny 1
p once
status "first install" 0
is "it is an update" "$(outcome)" updated
is "the layout names it" "$(runs)" "$one"
is "the status file is the status" "$(jq -S . "$run_dir/status.json")" "$(p status && jq -S . "$out")"
has "the metrics say that it is up to date" "$run_dir/metrics.prom" "veneer_pull_up_to_date 1"
has "and what runs" "$run_dir/metrics.prom" "digest=\"$one\""
p once
is "no news" "$(outcome)" current

# ---- windows
set_channel device/tiny thin-2
closed=$(LC_ALL=C date -u -d '+2 days' +%a)
conf '{"windows": ["'"$closed"' 01:00-01:01"]}'
wire_mark reg
p once
status "outside of the window" 1
is "it waits" "$(outcome)" waits
quiet_wire "outside of the window"
has "status says for what" <(state .waits) "window opens at"
conf '{"windows": ["Mon-Sun 00:00-24:00"], "windows_zone": "local"}'
p once --dry-run
is "inside of it a dry run plans" "$(jq -r '.dry_run' "$out")" true
is "and changes nothing" "$(runs)" "$one"

# ---- the inhibit file
conf '{"inhibit": "'"$run_dir"'/inhibit"}'
touch "$run_dir/inhibit"
wire_mark reg
p once
status "with the inhibit file" 1
quiet_wire "with the inhibit file"
rm "$run_dir/inhibit"

# ---- money
conf '{"budget": {"update": "10kB"}}'
wire_mark reg
p once
status "an update beyond its budget" 1
is "no blob was fetched" "$(pulled_bytes reg)" 0
has "the reason has both numbers" <(jq -r .why "$out") "10.0 kB"
conf '{"budget": {"month": "1kB"}}'
wire_mark reg
p once
status "a month that is used up" 1
quiet_wire "a month that is used up"
p once --now
status "--now overrides" 0
is "the update came" "$(runs)" "$two"
is "by a delta" "$(state '.releases[0].how')" delta
less "the month's count is about what moved" "$(state .month.bytes)" 300000

# ---- pinned
conf '{}'
p pin
status "pinned" 0
set_channel device/tiny thin-3
p once --now
is "a pinned device waits, whatever is said" "$(outcome)" waits
p pin --off
status "let go" 0

# ---- the check before a release runs
cat >"$run_dir/check" <<'SH'
#!/bin/sh
echo "check $VENEER_EVENT $VENEER_DIGEST $1" >>"$(dirname "$0")/checks"
[ ! -e "$(dirname "$0")/bad" ]
SH
chmod 755 "$run_dir/check"
conf '{"check": {"command": ["'"$run_dir"'/check", "{image}"], "timeout": "10s"}}'
touch "$run_dir/bad"
p once
status "a release that fails its check" 1
is "what ran before still does" "$(runs)" "$two"
has "the check knew the release" "$run_dir/checks" "check check $three"
wire_mark reg
p once
is "it is left alone from then on" "$(outcome)" refused-before
less "by one request" "$(wire reg | wc -l)" 2
rm "$run_dir/bad"
p once --now
status "until it is asked for" 0
is "and now runs" "$(runs)" "$three"
is "checked" "$(state '.releases[0].check')" passed
conf '{"check": {"command": ["/bin/sleep", "30"], "timeout": "1s"}}'

# ---- back, and back again
p rollback
status "rollback" 0
is "the release before runs" "$(runs)" "$two"
wire_mark reg
p once
is "what was rolled back is not taken again" "$(outcome)" refused-before
p rollback "${three#sha256:}"
status "a check that takes too long is not asked for what is held" 0
is "forward by its digest" "$(runs)" "$three"
p rollback nobody
status "a release that is not held" 3
has "it says what is" "$err" "veneer-pull status"

# ---- health behind the switch
set_channel device/tiny thin-2
p once
is "an older release by the tag is activated without a download" "$(runs)" "$two"
cat >"$run_dir/health" <<'SH'
#!/bin/sh
echo "$VENEER_DIGEST" >>"$(dirname "$0")/healths"
exit 1
SH
chmod 755 "$run_dir/health"
conf '{"health": {"command": ["'"$run_dir"'/health"]}}'
set_channel device/tiny thin-3
p once
status "a release that is not healthy" 1
is "sends itself back" "$(runs)" "$two"
is "it was asked about the new one" "$(cat "$run_dir/healths")" "$three"
has "history knows" <(p history && jq -r '.events[].event' "$out") rolled-back

# the power goes while a release is on trial: the next run judges it before it asks anybody
cat >"$run_dir/dies" <<'SH'
#!/bin/sh
kill -KILL $PPID
SH
chmod 755 "$run_dir/dies"
conf '{"health": {"command": ["'"$run_dir"'/dies"]}}'
p once --now
status "a run that dies in the health command" 137
is "the new release has the name" "$(runs)" "$three"
is "status says that it is on trial" "$(state '.releases[] | select(.active) | .on_trial')" true
conf '{"health": {"command": ["'"$run_dir"'/health"]}}'
rm "$run_dir/healths"
wire_mark reg
p once
status "an unhealthy one found by the next run" 1
is "it was asked about" "$(cat "$run_dir/healths")" "$three"
is "it is sent back" "$(runs)" "$two"
quiet_wire "on the way back"
conf '{"health": {"command": ["'"$run_dir"'/dies"]}}'
p once --now
conf '{"health": {"command": ["/bin/true"]}}'
p once
status "a healthy one found by the next run" 0
is "it stays" "$(runs)" "$three"
is "and is on trial no longer" "$(state '.releases[] | select(.active) | .on_trial')" false

# a first install that is not healthy has nothing to go back to
fresh
set_channel device/tiny thin-2
conf '{"health": {"command": ["'"$run_dir"'/health"]}}'
p once
status "a first install that is not healthy" 1
has "there is none to go back to" "$err" "none to go back to"
p once
status "the next poll does not call it current" 1
is "status keeps the reason" "$(state .error_status)$(state .error.status)" null1
conf '{"health": {"command": ["/bin/true"]}}'
p once
status "until it is healthy" 0
is "and current" "$(outcome)" current
fresh
conf '{"health": {"command": ["'"$run_dir"'/health"]}}'
p once
set_channel device/tiny thin-3
conf '{"health": {"command": ["/bin/true"]}}'
p once
status "or until the release after it comes" 0
is "which runs" "$(runs)" "$three"

# what is gone back to is the last one that was not found wanting, whatever happened in between
cat >"$run_dir/moody" <<'SH'
#!/bin/sh
d=$(dirname "$0")
echo "$VENEER_DIGEST" >>"$d/moods"
[ ! -e "$d/dies-now" ] || kill -KILL $PPID
! grep -qx "$VENEER_DIGEST" "$d/bad"
SH
chmod 755 "$run_dir/moody"
moody='{"health": {"command": ["'"$run_dir"'/moody"]}}'
: >"$run_dir/bad"
fresh
conf "$moody"
set_channel device/tiny 1
p once
set_channel device/tiny thin-2
touch "$run_dir/dies-now"
p once
p rollback
rm "$run_dir/dies-now"
echo "$three" >"$run_dir/bad"
set_channel device/tiny thin-3
p once
status "an unhealthy one after two trials that were killed" 1
is "the one that was healthy before them runs" "$(runs)" "$one"
# a first release that is slow to become healthy is asked again before it is left
fresh
echo "$one" >"$run_dir/bad"
set_channel device/tiny 1
p once
echo "$three" >"$run_dir/bad"
set_channel device/tiny thin-3
p once
is "healthy in the end, it is gone back to" "$(runs)" "$one"
# on trial after a rollback: asked again by each poll
fresh
: >"$run_dir/bad"
set_channel device/tiny 1
p once
set_channel device/tiny thin-2
p once
printf '%s\n' "$one" "$two" >"$run_dir/bad"
p rollback
status "a rollback to one that is not healthy" 1
is "goes on to nothing worse" "$(runs)" "$two"
# the engine loses what would be gone back to
fresh
: >"$run_dir/bad"
set_channel device/tiny 1
p once
touch "$run_dir/dies-now"
set_channel device/tiny thin-2
p once
rm "$run_dir/dies-now"
jq --arg digest "$one" '.manifests |= map(select(.digest != $digest))' "$endpoint/index.json" >"$run_dir/index"
cp "$run_dir/index" "$endpoint/index.json"
echo "$two" >"$run_dir/bad"
p once
status "nothing is left to go back to" 1
has "that is said" "$err" "none to go back to"
set_channel device/tiny thin-3
p once
status "and the next release comes" 0
is "it runs" "$(runs)" "$three"
# a command that cannot be run is no fault of the release
fresh
set_channel device/tiny 1
conf '{}'
p once
set_channel device/tiny thin-2
conf '{"check": {"command": ["/nonexistent/check"]}}'
p once
status "a check that cannot be run" 3
is "is no refusal" "$(state .step)" sealed
conf '{"check": {"command": ["/bin/true"]}}'
wire_mark reg
p once
status "once it can be run" 0
is "the update is finished" "$(runs)" "$two"
quiet_wire "from what lies here"
# the order in which they ran, whatever the clock says
fresh
conf '{"keep": 2}'
for tag in 1 thin-2; do
    set_channel device/tiny $tag
    p once
done
p rollback
set_channel device/tiny thin-3
p once
p rollback
is "back to the one that ran before, within the same second" "$(runs)" "$one"
# what is held is looked at before it runs
blob=$(jq -r '.layers[-1].digest' "$endpoint/blobs/sha256/${one#sha256:}")
rm "$endpoint/blobs/sha256/${blob#sha256:}"
p once
is "what runs is not asked every time whether it is whole" "$rc" 1
set_channel device/tiny 1
p once --now
status "an order mends it" 0
check "the blob is back" test -e "$endpoint/blobs/sha256/${blob#sha256:}"
is "for others to read" "$(stat -c %a "$endpoint"/blobs/sha256/* | sort -u)" 644
p verify
status "and all is sound" 0
blob=$(jq -r '.layers[-1].digest' "$endpoint/blobs/sha256/${three#sha256:}")
rm "$endpoint/blobs/sha256/${blob#sha256:}"
p rollback
status "what is not whole is not gone back to" 4
is "what ran stays" "$(runs)" "$one"
# a file is looked at although an update is begun
set_channel device/tiny thin-2
conf '{"check": {"command": ["/nonexistent/check"]}}'
p once --now
conf '{}'
p import /nonexistent
status "a file that is not there, with an update begun" 3

fresh
set_channel device/tiny thin-2
conf '{}'
p once
set_channel device/tiny thin-3
p once
p rollback

# ---- hooks
cat >"$run_dir/hook" <<'SH'
#!/bin/sh
echo "$VENEER_EVENT $VENEER_DIGEST $VENEER_REFERENCE $(umask) $(pwd)" >>"$(dirname "$0")/events"
SH
chmod 755 "$run_dir/hook"
conf '{"hooks": {"any": ["'"$run_dir"'/hook"], "active": ["/nonexistent/hook"]}}'
p once --now
status "hooks that fail do not stop an update" 0
has "that is told" "$err" "/nonexistent/hook"
is "every transition was heard" "$(awk '{ print $1 }' "$run_dir/events" | xargs)" "active"
has "with its release, a mask and a folder" "$run_dir/events" "active $three $followed 0077 /"

# ---- staged: somebody else starts it
conf '{"switch": "staged", "hooks": {"any": ["'"$run_dir"'/hook"]}, "health": {"command": ["'"$run_dir"'/health"]}}'
rm -rf "$device/state" "$endpoint" "$run_dir/events"
mkdir -p "$device/state" "$endpoint"
p once
is "staged is an outcome of its own" "$(outcome)" staged
is "the hooks heard each step" "$(awk '{ print $1 }' "$run_dir/events" | xargs)" "planned fetching verified handing sealed staged"

# ---- from a stick
usb=$run_dir/usb
for tag in 1 thin-2 thin-3; do "$veneer" copy -q "$(reg reg)/device/tiny:$tag" "oci:$usb:$tag" >/dev/null; done
delta=$(curl -sf --noproxy '*' "$(reg_url reg)/v2/device/tiny/tags/list" | jq -r '.tags[] | select(startswith("delta-"))')
for tag in $delta; do "$veneer" copy -q "$(reg reg)/device/tiny:$tag" "oci:$usb:$tag" >/dev/null; done
"$veneer" copy -q "$(reg reg)/device/tiny:1" "oci:$usb:prod" >/dev/null
rm -rf "$device/state" "$endpoint"
mkdir -p "$device/state" "$endpoint"
stop_registry reg
conf '{}'
p import "$usb"
status "an image from a stick" 0
is "it runs" "$(runs)" "$one"
"$veneer" copy -q --move-tag "oci:$usb:thin-2" "oci:$usb:prod" >/dev/null
p import "$usb"
status "the next from the stick" 0
is "it runs too" "$(runs)" "$two"
"$veneer" delta make -o "$run_dir/update.oci" "oci:$usb:thin-2" "oci:$usb:thin-3" >/dev/null 2>&1
p import "$run_dir/update.oci"
status "a delta alone" 0
is "brings the third" "$(runs)" "$three"
p import "$run_dir/update.oci"
is "once more is no news" "$(outcome)" current
p import "$run_dir/nothing"
status "a file that is not there" 3

# ---- what is held
p verify
status "verify" 0
blob=$(find "$endpoint/blobs/sha256" -size +10k | head -n 1)
printf x | dd of="$blob" bs=1 seek=100 conv=notrunc 2>/dev/null
p verify
status "verify of a damaged blob" 4
has "names it" <(jq -r '.findings[] | select(.problem != "") | .what' "$out") "${blob##*/}"
