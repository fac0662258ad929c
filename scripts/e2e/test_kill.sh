#!/usr/bin/env bash
# Killed at any point: DEST is absent or whole, and the next run works.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry reg --scene
repo=$(reg reg)/tempanomaly
rm -rf "$VENEER_CACHE_DIR"
began=$(date +%s%N)
v rebase "$repo:1" "$repo:2" "$repo:whole"
status "undisturbed" 0
took=$((($(date +%s%N) - began) / 1000000))
whole=$(manifest_digest reg tempanomaly whole)
began=$(date +%s%N)
v rebase "$repo:1" "$repo:2" "$repo:whole2"
warm=$((($(date +%s%N) - began) / 1000000))
printf '# undisturbed: %s ms cold, %s ms warm\n' "$took" "$warm"

# kill_at MILLISECONDS DEST
kill_at() {
    local pid
    "$veneer" rebase "$repo:1" "$repo:2" "$2" >/dev/null 2>&1 &
    pid=$!
    sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"
    kill -KILL $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
}
RANDOM=${VENEER_E2E_SEED:-1}
printf '# VENEER_E2E_SEED=%s\n' "${VENEER_E2E_SEED:-1}"
torn=0 present=0
for i in 1 2 3 4 5 6; do
    rm -rf "$VENEER_CACHE_DIR"
    kill_at $((RANDOM % (took + 1))) "$repo:cold-$i"
    digest=$(manifest_digest reg tempanomaly "cold-$i")
    case $digest in
    '') ;;
    "$whole") present=$((present + 1)) ;;
    *) torn=$((torn + 1)) ;;
    esac
done
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    kill_at $((warm / 2 + RANDOM % warm)) "$repo:warm-$i"
    digest=$(manifest_digest reg tempanomaly "warm-$i")
    case $digest in
    '') ;;
    "$whole") present=$((present + 1)) ;;
    *) torn=$((torn + 1)) ;;
    esac
done
is "killed 18 times: no torn tag ($present were complete)" "$torn" 0
v rebase "$repo:1" "$repo:2" "$repo:after"
status "the cache the killed runs left serves the next one" 0
is "and gives the same image" "$(manifest_digest reg tempanomaly after)" "$whole"
v diff "$repo:after" "$repo:2"
status "which is the same as NEW" 0

# A layout as DEST: either no tag or a readable image.
bad=0
for i in 1 2 3 4 5 6 7 8; do
    rm -rf "$run_dir/layout"
    kill_at $((RANDOM % (warm + 1))) "oci:$run_dir/layout:t"
    if [ -e "$run_dir/layout/index.json" ] && grep -q '"t"' "$run_dir/layout/index.json"; then
        skopeo --insecure-policy copy --quiet "oci:$run_dir/layout:t" "dir:$run_dir/readback" >/dev/null 2>&1 || bad=$((bad + 1))
        rm -rf "$run_dir/readback"
    fi
done
is "killed while writing a layout: tag absent or readable" "$bad" 0
rm -rf "$run_dir/layout"
kill_at $((warm / 2)) "oci:$run_dir/layout:t"
v rebase "$repo:1" "$repo:2" "oci:$run_dir/layout:t"
status "a killed layout is completed by the next run" 0

left=$(find "$TMPDIR" -mindepth 1 | wc -l)
v rebase --dry-run "$repo:1" "$repo:2" "$repo:again"
less "temporary files do not pile up" "$(find "$TMPDIR" -mindepth 1 | wc -l)" $((left + 1))
