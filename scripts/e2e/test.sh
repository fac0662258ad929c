# shellcheck shell=bash
# Sourced by every test_*.sh: prints "ok - NAME" or "not ok - NAME", exits 1 when anything failed.
set -euo pipefail
# shellcheck source=scripts/e2e/world.sh
. "$(dirname "${BASH_SOURCE[0]}")/world.sh"
need_root "$@"
[ -n "${without_veneer:-}" ] || [ -x "$veneer" ] || die "no $veneer; run make first"
[ -n "${without_scene:-}" ] || "$e2e_dir/scene.sh"
world_open
export TMPDIR=$run_dir/tmp VENEER_CACHE_DIR=$run_dir/cache
export LC_ALL=C.UTF-8
failed=0
rc=0
out=$run_dir/out
err=$run_dir/err
trap 'test_end' EXIT

test_end() {
    local status=$?
    if [ $status -ne 0 ]; then
        failed=1
        printf 'not ok - %s ended early, status %d\n' "$(basename "$0")" $status
    fi
    world_close $failed
}

ok() { printf 'ok - %s\n' "$1"; }
not_ok() {
    failed=1
    printf 'not ok - %s\n' "$1"
    shift
    [ $# -eq 0 ] || printf '%s\n' "$*" | sed 's/^/  # /' | cut -c1-400 | head -n 15
}

# v ARGUMENTS...: runs veneer; stdout in $out, stderr in $err, status in $rc.
v() {
    rc=0
    "$veneer" "$@" >"$out" 2>"$err" || rc=$?
}

what_it_said() {
    tail -n 6 "$err"
    head -c 600 "$out"
}

status() {
    if [ "$rc" = "$2" ]; then ok "$1"; else not_ok "$1" "exit $rc, expected $2" "$(what_it_said)"; fi
}
is() {
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got:      $2
expected: $3"; fi
}
less() {
    if [ "$2" -lt "$3" ] 2>/dev/null; then ok "$1 ($2 < $3)"; else not_ok "$1" "$2 is not less than $3"; fi
}
# has NAME FILE TEXT: FILE contains TEXT.
has() {
    if grep -qF -e "$3" "$2"; then ok "$1"; else not_ok "$1" "no \"$3\" in:" "$(head -c 800 "$2")"; fi
}
hasnt() {
    if grep -qF -e "$3" "$2"; then not_ok "$1" "found \"$3\""; else ok "$1"; fi
}
check() {
    local name=$1
    shift
    if "$@" >"$run_dir/check.out" 2>&1; then ok "$name"; else not_ok "$name" "$(tail -n 5 "$run_dir/check.out")"; fi
}

# ---- fields of --format json: one place to follow the schema

json() { jq -r "$@" "$out" 2>/dev/null || echo "(not JSON)"; }
diff_same() { json '.same'; }
diff_pull_bytes() { json '.pull.bytes'; }
diff_packages() { json '.packages[] | "\(.name) \(.old // "-") \(.new // "-")"' | sort; }
# diff_paths CLASS...: the paths of these classes, without the leading slash, sorted.
diff_paths() {
    local classes
    classes=$(printf '%s\n' "$@" | jq -Rn '[inputs]')
    # shellcheck disable=SC2016
    json --argjson c "$classes" '.files[] | select(.class as $x | $c | index($x)) | .path | ltrimstr("/")' | sort
}
diff_rules() { json '.files[] | select(.class == "noise") | .rule // "NONE"' | sort -u; }
rebase_digest() { json '.digest'; }
rebase_layers() { json '.layers_added | length'; }
rebase_layer_bytes() { json '[.layers_added[].size] | add // 0'; }
rebase_pull() { json '.pull | "\(.before) \(.after)"'; }
rebase_different() { json '.proof.different'; }

# ---- images

oci() { printf 'oci:%s/oci/%s' "$world_dir" "$1"; }
scene_digest() { sed -n "s/^$1 //p" "$world_dir/scene.manifest"; }
layer_count() { manifest "$1" "$2" "$3" | jq '.layers | length'; }
layer_digests() { manifest "$1" "$2" "$3" | jq -r '.layers[].digest'; }

# tree_of DEVICE IMAGE: the tree of a container of IMAGE into $run_dir/tree.
tree_of() {
    local id
    : >"$run_dir/tree"
    id=$(on "$1" create "$2" true 2>/dev/null) || return 0
    on "$1" export "$id" | python3 "$e2e_dir/tree.py" list >"$run_dir/tree"
    on "$1" rm "$id" >/dev/null
}
tree_diff() { python3 "$e2e_dir/tree.py" diff "$@" || true; }
scene_tree() { printf '%s/tree/%s.gz' "$world_dir" "$1"; }
# line PATH: what the tree says of PATH: TYPE MODE OWNER CONTENT XATTRS LINK-GROUP
line() { grep -F -- "$1 " "$run_dir/tree" | awk -v p="$1" '$1 == p { $1 = ""; print substr($0, 2) }'; }

# same_tree NAME DEVICE IMAGE SCENE-TREE [NOISE-FILE]: equal except for the paths listed in NOISE-FILE.
same_tree() {
    local rest
    tree_of "$2" "$3"
    if [ "$(wc -l <"$run_dir/tree")" -lt 10 ]; then
        not_ok "$1" "no tree"
        return
    fi
    rest=$(tree_diff "$(scene_tree "$4")" "$run_dir/tree" | sort | comm -23 - "${5:-/dev/null}")
    is "$1" "$rest" ""
}

# device_with_old: the engine "device" that pulled tempanomaly:1 and nothing else. Kept between runs.
device_with_old() {
    start_device
    on device pull -q "$(reg reg)/tempanomaly:1" >/dev/null
    on device tag "$(reg reg)/tempanomaly:1" device-old:1
}

# answers_of DEVICE IMAGE: what the score script answers to the fixed inputs.
answers_of() {
    on "$1" run --rm -i --network=none "$2" python3 /var/azureml-app/iot_score.py <"$e2e_dir/scene/inputs" 2>&1
}
scene_answers() { cat "$world_dir/answers/$1"; }

# flip FILE...: another byte in the middle; once more puts it back. Hard links are one file.
flip() { python3 - "$@" <<'END'
import os, sys
for node in {os.stat(p).st_ino: p for p in sys.argv[1:]}.values():
    with open(node, "r+b") as f:
        f.seek(4000)
        byte = f.read(1)[0]
        f.seek(4000)
        f.write(bytes([byte ^ 1]))
END
}
