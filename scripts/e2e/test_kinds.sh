#!/usr/bin/env bash
# Every kind of change a tree can show, looked at in a container of the thin image.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry reg --scene
start_dockerd small
repo=$(reg reg)/kinds
on small pull -q "$repo:1" >/dev/null

v rebase --larger --format json "$repo:1" "$repo:2" "$repo:thin"
status "rebase" 0
is "nothing different" "$(rebase_different)" 0
check "docker pull" on small pull -q "$repo:thin"
tree_of small "$repo:thin"
zcat "$(scene_tree kinds-2)" >"$run_dir/want"
gone() {
    if grep -q "^$2[ /]" "$run_dir/tree"; then not_ok "$1" "$(grep "^$2[ /]" "$run_dir/tree")"; else ok "$1"; fi
}
# as_new NAME PATH: PATH and what is below it are as in NEW.
as_new() {
    local want
    want=$(awk -v p="$2" 'index($1, p) == 1' "$run_dir/want")
    if [ -z "$want" ]; then
        not_ok "$1" "NEW has no $2: the scene is broken"
        return
    fi
    is "$1" "$(awk -v p="$2" 'index($1, p) == 1' "$run_dir/tree")" "$want"
}
gone "deleted file" k/gone
gone "deleted directory" k/gone-dir
gone "file deleted from the shared base" k/base-file
gone "directory of the base replaced: old content gone" k/replaced/a
as_new "directory of the base replaced" k/replaced
gone "directory of the base emptied" k/emptied/sub
as_new "emptied directory stays" k/emptied
as_new "file to directory" k/file-to-dir
as_new "file to symlink" k/file-to-link
as_new "directory to symlink" k/dir-to-link
as_new "directory to file" k/dir-to-file
as_new "symlink to directory" k/link-to-dir
as_new "symlink with another target" k/link-moved
as_new "symlink to nowhere" k/dangling
as_new "target of the symlinks unharmed" k/target
as_new "setuid gained" k/suid-gained
as_new "setuid lost" k/suid-lost
as_new "mode only" k/mode-only
as_new "owner only" k/owner-only
as_new "mode of a directory" k/mode-dir
as_new "empty directory with setgid and owner" k/empty
as_new "sticky directory" k/sticky
as_new "capabilities kept" k/capable
as_new "capabilities gained" k/capable-gained
as_new "capabilities lost" k/capable-lost
as_new "hardlinks with other content" k/h
as_new "hardlink group grown" k/g
as_new "hardlinks parted" k/s
as_new "hardlink to a file of the base" k/base-linked
as_new "names in UTF-8" k/gr
as_new "name that is not UTF-8" k/caf
as_new "name with a line break" k/line
as_new "name with a space" k/with
as_new "name beginning like a whiteout" k/.whoops
as_new "name of 200 bytes" k/0000
as_new "fifo" k/fifo
as_new "device node" k/null
v diff --format json "$repo:1" "$repo:2"
diff_paths noise >"$run_dir/noise"
same_tree "the whole tree is NEW's" small "$repo:thin" kinds-2 "$run_dir/noise"
v diff "$repo:thin" "$repo:2"
status "diff DEST NEW is the same" 0
v diff --format json "$repo:1" "$repo:2"
check "JSON is valid with a name that is not UTF-8" python3 -c 'import json,sys; json.load(open(sys.argv[1], encoding="utf-8"))' "$out"

# The same into a layout, unpacked by another implementation.
v rebase --larger "$(oci kinds:1)" "$(oci kinds:2)" "oci:$run_dir/thin:2"
status "layouts: rebase" 0
check "umoci unpacks it" umoci unpack --image "$run_dir/thin:2" "$run_dir/bundle"
check "getcap sees the capability" grep -q cap_net_raw <(getcap "$run_dir/bundle/rootfs/k/capable-gained")
is "getcap sees none where it was lost" "$(getcap "$run_dir/bundle/rootfs/k/capable-lost")" ""
tar -C "$run_dir/bundle/rootfs" --xattrs --xattrs-include='security.capability' --format=pax -cf - . |
    python3 "$e2e_dir/tree.py" list >"$run_dir/tree" || true
is "umoci's tree is NEW's" "$(tree_diff "$run_dir/want" "$run_dir/tree" | sort | comm -23 - "$run_dir/noise")" ""
