# shellcheck shell=bash
# shellcheck disable=SC2154
# Sourced after world.sh: disks whose power can be cut (device/forgetfs.c says how), and the shim for write points (device/fault.c).

# build_tools: both into $run_dir/tools.
build_tools() {
    local flags
    tools=$run_dir/tools
    mkdir -p "$tools"
    read -ra flags < <(pkg-config --cflags --libs fuse3)
    gcc -std=gnu11 -O2 -Wall -Wextra -o "$tools/forgetfs" "$e2e_dir/device/forgetfs.c" "${flags[@]}" ||
        die "forgetfs.c does not compile"
    gcc -std=gnu11 -O2 -Wall -Wextra -shared -fPIC -o "$tools/fault.so" "$e2e_dir/device/fault.c" ||
        die "fault.c does not compile"
}

# can_cut_power: whether FUSE and loop devices are to be had here.
can_cut_power() { [ -e /dev/fuse ] && losetup -f >/dev/null 2>&1; }

# power_on NAME [ext4|btrfs] [SIZE]: a new disk with a file system of this kind, mounted at $run_dir/NAME/fs.
# auto_da_alloc of ext4 hides that a program forgot to sync a file before it renamed it, so it is off; commit=1 brings metadata to
# the disk each second, whatever became of the data.
power_on() {
    local d=$run_dir/$1 kind=${2:-ext4} size=${3:-512M}
    mkdir -p "$d/disk" "$d/fs"
    truncate -s "$size" "$d/live"
    case $kind in
    ext4) mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$d/live" ;;
    btrfs) mkfs.btrfs -q -K "$d/live" >/dev/null 2>&1 || die "mkfs.btrfs failed" ;;
    *) die "power_on: unknown file system $kind" ;;
    esac
    echo "$kind" >"$d/kind"
    cp --sparse=always "$d/live" "$d/durable"
    "$tools/forgetfs" -o "live=$d/live,durable=$d/durable" "$d/disk" >"$d/log" 2>&1 </dev/null &
    wait_for 10 "forgetfs" "$d/log" test -e "$d/disk/control"
    power_mount "$1"
}

# The loop device goes with its mount: detaching a device in use only marks it.
power_mount() {
    local d=$run_dir/$1 loop options=noatime
    [ "$(cat "$d/kind")" != ext4 ] || options=noatime,noauto_da_alloc,commit=1
    loop=$(losetup --show -f --direct-io=on "$d/disk/disk")
    mount -t "$(cat "$d/kind")" -o "$options" "$loop" "$d/fs" || {
        losetup -d "$loop"
        return 1
    }
    losetup -d "$loop"
}

# power_cut NAME HOW [SEED]: none, all, prefix, subset. Nothing that is written from here on survives.
power_cut() { printf '%s' "cut $2 ${3:-}" >"$run_dir/$1/disk/control"; }
power_is_cut() { grep -q '^cut' "$run_dir/$1/disk/control"; }

# power_back NAME: what survived, mounted again; fails when the file system does not mount.
power_back() {
    local d=$run_dir/$1
    power_unmount "$1"
    printf revive >"$d/disk/control"
    power_mount "$1"
}

power_unmount() {
    local dir i
    while read -r _ dir _; do
        case $dir in "$run_dir/$1/fs"/*) umount -l "$dir" 2>/dev/null || true ;; esac
    done < <(sort -r -k2 /proc/mounts)
    unmount "$run_dir/$1/fs"
    # a mount on it that lingers keeps the old file system alive, which would write to what survives
    for ((i = 0; i < 200; i++)); do
        [ -n "$(losetup -j "$run_dir/$1/disk/disk")" ] || return 0
        sleep 0.1
    done
    die "the loop device of $run_dir/$1 stays"
}
# Whoever was there has been killed, and may take a moment to be gone; so may the loop device.
unmount() {
    local i
    for ((i = 0; i < 100; i++)); do
        if umount "$1" 2>/dev/null; then return 0; fi
        sleep 0.1
    done
    die "$1 is in use"
}

# power_off NAME: the end of this disk; fails when its file system is not sound, which it is after every cut.
power_off() {
    local d=$run_dir/$1
    power_unmount "$1"
    unmount "$d/disk"
    case $(cat "$d/kind") in
    ext4) e2fsck -fn "$d/live" ;;
    btrfs) btrfs check "$d/live" ;;
    esac
}

# ---- write points

# fault_begin PROGRAM FOLDER...: counts the write points of PROGRAM below the folders from 0.
fault_begin() {
    local IFS=:
    fault_program=$1
    shift
    fault_below="$*"
    fault_counter=$run_dir/fault-counter
    head -c 8 /dev/zero >"$fault_counter"
}
fault_points() { od -An -tu8 "$fault_counter" | tr -d ' '; }

# faulty [NAME=VALUE]... COMMAND...: COMMAND below the shim; the names without their "FAULT_".
faulty() {
    local set=()
    while case ${1%%=*} in AT | DO | ON | CUT | CONTROL | PAUSE | LAZY | CLOCK | LOG) true ;; *) false ;; esac do
        set+=("FAULT_$1")
        shift
    done
    head -c 8 /dev/zero >"$fault_counter"
    env "LD_PRELOAD=$tools/fault.so" "FAULT_PROGRAMS=$fault_program" "FAULT_BELOW=$fault_below" \
        "FAULT_COUNTER=$fault_counter" "${set[@]}" "$@"
}
