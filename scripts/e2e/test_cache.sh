#!/usr/bin/env bash
# The cache: shared by concurrent runs, damaged, not writable, absent.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry reg --scene
repo=$(reg reg)/tempanomaly
model=var/azureml-app/azureml-models/model.pkl

pids=()
for i in 1 2 3 4; do
    "$veneer" diff --format json "$repo:1" "$repo:2" >"$run_dir/out.$i" 2>"$run_dir/err.$i" &
    pids+=($!)
done
codes=
for pid in "${pids[@]}"; do
    code=0
    wait "$pid" || code=$?
    codes+="$code "
done
is "four at once on a cold cache" "$codes" "1 1 1 1 "
is "four at once: one answer" "$(sha256sum "$run_dir"/out.[1-4] | cut -d' ' -f1 | sort -u | wc -l)" 1
cp "$run_dir/out.1" "$out"
is "four at once: the model" "$(diff_paths model)" "$model"
wire_mark reg
v diff --format json "$repo:1" "$repo:2"
is "afterwards no blob is fetched" "$(blob_gets reg)" 0
sha=$(sha256sum <"$out")

pids=()
for i in 1 2 3; do
    "$veneer" rebase "$repo:1" "$repo:2" "$repo:at-once-$i" >/dev/null 2>&1 &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || true; done
is "three rebases at once: one digest" \
    "$(for i in 1 2 3; do manifest_digest reg tempanomaly at-once-$i; done | sort -u | wc -l)" 1
pids=()
for i in 1 2 3; do
    "$veneer" rebase "$repo:1" "$repo:2" "$repo:same-tag" >/dev/null 2>&1 &
    pids+=($!)
done
codes=
for pid in "${pids[@]}"; do
    code=0
    wait "$pid" || code=$?
    codes+="$code "
done
is "three rebases into one tag: all succeed" "$codes" "0 0 0 "

wire_mark reg
v diff --format json "$repo:1" "$repo:3"
printf '# another NEW on the same OLD: %s bytes fetched\n' "$(pulled_bytes reg)"
less "another NEW costs only its own layers" "$(pulled_bytes reg)" 100000

# Damage: cut every file of the cache short.
mkdir -p "$VENEER_CACHE_DIR"
find "$VENEER_CACHE_DIR" -type f -size +64c -exec truncate -s -17 {} +
v diff --format json "$repo:1" "$repo:2"
status "damaged cache" 1
is "damaged cache: same answer" "$(sha256sum <"$out")" "$sha"
find "$VENEER_CACHE_DIR" -type f -exec sh -c 'for f; do printf garbage | dd of="$f" conv=notrunc bs=1 seek=10 2>/dev/null; done' sh {} +
v diff --format json "$repo:1" "$repo:2"
is "garbage in the cache: same answer" "$(sha256sum <"$out")" "$sha"

v diff --cache-dir /proc/no-such-place --format json "$repo:1" "$repo:2"
if [ "$rc" = 1 ] || [ "$rc" = 3 ]; then ok "cache not writable (exit $rc)"; else not_ok "cache not writable" "exit $rc" "$(what_it_said)"; fi
has "cache not writable: says so" "$err" /proc/no-such-place
unset VENEER_CACHE_DIR
v diff --format json "$(oci kinds:1)" "$(oci kinds:2)"
check "default place is under XDG_CACHE_HOME" test -d "$XDG_CACHE_HOME/veneer"

# What diff and a first rebase have read is not fetched again.
v diff --cache-dir "$run_dir/c2" --format json "$repo:1" "$repo:2"
wire_mark reg
v rebase --cache-dir "$run_dir/c2" "$repo:1" "$repo:2" "$repo:warm"
status "rebase after diff" 0
printf '# rebase after diff: %s bytes fetched\n' "$(pulled_bytes reg)"
less "rebase after diff fetches no layer that diff has read" "$(pulled_bytes reg)" 100000000
wire_mark reg
v rebase --cache-dir "$run_dir/c2" "$repo:1" "$repo:2" "$repo:warm-2"
less "the next rebase fetches little" "$(pulled_bytes reg)" 1000000
