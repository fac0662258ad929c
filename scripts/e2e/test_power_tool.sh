#!/usr/bin/env bash
# The tools of test_pull_power.sh and test_pull_kill.sh find what they are made to find, and accept what is right.
# shellcheck disable=SC2034
without_scene=1 without_veneer=1
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"
# shellcheck source=scripts/e2e/power.sh
. "$e2e_dir/power.sh"

build_tools
gcc -std=gnu11 -O2 -Wall -Wextra -o "$tools/replace" "$e2e_dir/device/replace.c"
replace=("$tools/replace")

# content FILE: a or b (4,000 times one letter), "none" or "torn".
content() {
    if [ ! -e "$1" ]; then
        echo none
    elif [ "$(wc -c <"$1")" = 4000 ] && [ "$(tr -d 'a' <"$1" | wc -c)" = 0 ]; then
        echo a
    elif [ "$(wc -c <"$1")" = 4000 ] && [ "$(tr -d 'b' <"$1" | wc -c)" = 0 ]; then
        echo b
    else
        echo torn
    fi
}
# quietly COMMAND...: its status in rc.
quietly() {
    rc=0
    "$@" >"$out" 2>"$err" || rc=$?
}

# ---- the shim

plain=$run_dir/plain
mkdir -p "$plain"
fault_begin replace "$plain"
faulty LOG="$run_dir/points" "${replace[@]}" right "$plain/file" a
is "write points of one replacement" "$(awk '{ sub("64$", "", $2); print $2 }' "$run_dir/points" | xargs)" "open write fsync rename fsync"
is "they are counted" "$(fault_points)" 5
fault_begin ls "$plain"
faulty "${replace[@]}" right "$plain/file" a
is "other programs have none" "$(fault_points)" 0
fault_begin replace "$run_dir/tmp"
faulty "${replace[@]}" right "$plain/file" a
is "nor have other folders" "$(fault_points)" 0
fault_begin replace "$plain"

# at N DEED: what it says of the program, of the file and of the new one.
at() {
    rm -f "$plain"/*
    "${replace[@]}" right "$plain/file" a
    { quietly faulty AT="$1" DO="$2" "${@:3}" "${replace[@]}" right "$plain/file" b; } 2>/dev/null
    printf '%s %s %s' $rc "$(content "$plain/file")" "$(if [ -e "$plain/file.new" ]; then wc -c <"$plain/file.new"; fi)"
}
is "killed instead of the write" "$(at 2 before)" "137 a 0"
is "killed in the middle of it" "$(at 2 half)" "137 a 2000"
is "killed after it" "$(at 2 after)" "137 a 4000"
is "killed instead of the rename" "$(at 4 before)" "137 a 4000"
is "killed after it" "$(at 4 after)" "137 b "
is "a short write goes on" "$(at 2 short)" "0 b "
is "no room to write" "$(at 2 ENOSPC)" "1 a 0"
has "is said" "$err" "No space left on device"
is "an error at fsync" "$(at 3 EIO)" "1 a 4000"
is "an error from there on" "$(at 1 EROFS ON=1)" "1 a "
fault_begin date "$plain"
is "the clock shows 1970" "$(faulty CLOCK=86400 date -u +%FT%H)" 1970-01-02T00

# ---- the disk

if ! can_cut_power; then
    ok "skipped: no FUSE or no loop device here"
    exit 0
fi

# after_cut DISK WAY HOW SEED: a file that held a is replaced by b, and the power is cut just after; prints what the file is.
after_cut() {
    local fs=$run_dir/$1/fs
    rm -f "$fs"/file*
    "${replace[@]}" right "$fs/file" a
    "${replace[@]}" "$2" "$fs/file" b
    power_cut "$1" "$3" "$4"
    power_back "$1" || echo unmountable
    content "$fs/file"
}
# outcomes DISK WAY: what it can be, in any way that the power is cut.
outcomes() {
    local seed
    {
        after_cut "$1" "$2" none 0
        after_cut "$1" "$2" all 0
        for seed in 1 2 3; do
            after_cut "$1" "$2" prefix $seed
            after_cut "$1" "$2" subset $seed
        done
    } | sort -u | xargs
}

for kind in ext4 btrfs; do
    power_on "$kind" "$kind"
    fs=$run_dir/$kind/fs
    is "$kind: sync, rename, sync of the folder: it is there" "$(outcomes $kind right)" b
    is "$kind: with syncfs() too" "$(outcomes $kind syncfs)" b
    has "$kind: without the sync of the folder it can be lost" <(outcomes $kind no-folder-sync) a
    if [ $kind = ext4 ]; then
        has "$kind: without the sync of the data it can be torn" <(outcomes $kind no-file-sync) torn
    fi

    # Cut at each write point: old or new, and new from the last sync on.
    fault_begin replace "$fs"
    rm -f "$fs"/file*
    bad='' lost=''
    for ((n = 1; n <= 5; n++)); do
        for how in "none" "all" "subset $n"; do
            rm -f "$fs"/file*
            "${replace[@]}" right "$fs/file" a
            { quietly faulty AT=$n DO=after CUT="cut $how" CONTROL="$run_dir/$kind/disk/control" \
                "${replace[@]}" right "$fs/file" b; } 2>/dev/null
            power_is_cut $kind || bad+=" $n:alive"
            power_back $kind || bad+=" $n:unmountable"
            case $(content "$fs/file") in
            b) ;;
            a) [ $n -lt 5 ] || lost+=" $n:$how" ;;
            *) bad+=" $n:$how" ;;
            esac
        done
    done
    is "$kind: cut after each write point: old or new" "$bad" ""
    is "$kind: cut after the last: new" "$lost" ""
    before=$(awk '{ print $3 }' "$run_dir/$kind/disk/control")
    sync -f "$fs"
    echo x >"$fs/file"
    sync "$fs/file"
    less "$kind: a sync is a flush of the disk" "$before" "$(awk '{ print $3 }' "$run_dir/$kind/disk/control")"
    check "$kind: the file system itself is sound" power_off "$kind"
done
