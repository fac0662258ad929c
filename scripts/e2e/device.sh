# shellcheck shell=bash
# shellcheck disable=SC2154
# Sourced after test.sh: a small scene for a device, devices that hold its second release, and what must be true of them always.
#
# In the registry: device/app with the releases 1, thin-2 and thin-3 and the deltas between them; each update is about 600 kB,
# several units of resuming. device/tiny is the same with 20 kB. A device follows the tag "prod", which the tests move.

# shellcheck source=scripts/e2e/power.sh
. "$e2e_dir/power.sh"
# shellcheck disable=SC2034
resume_unit=131072

# shellcheck source=scripts/e2e/device_scene.sh
. "$e2e_dir/device_scene.sh"

# set_channel REPO TAG: "prod" names it from now on.
set_channel() {
    manifest reg "$1" "$2" >"$run_dir/channel"
    curl -sf --noproxy '*' -X PUT -H "Content-Type: $(jq -r .mediaType "$run_dir/channel")" \
        --data-binary "@$run_dir/channel" "$(reg_url reg)/v2/$1/manifests/prod" || die "the channel of $1 does not move to $2"
}

# in_memory: a folder in memory, for many runs whose writes need not reach a disk; or a plain one, where the kernel's cannot hold
# the attributes of the scene's files.
in_memory() {
    local d=$run_dir/memory
    mkdir -p "$d"
    if mount -t tmpfs -o size=2g tmpfs "$d" 2>/dev/null &&
        ! { : >"$d/file" && python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.x", b"1")' "$d/file" 2>/dev/null; }; then
        umount "$d"
    fi
    rm -f "$d/file"
    echo "$d"
}

# narrow_network: in a network namespace of its own (in_own_network of meter.sh) hardly more is on its way to a process than it has
# read, so that what was sent is what came. Sets in_flight, the bytes that a connection may lose when it ends in the middle.
narrow_network() {
    # shellcheck disable=SC2034
    in_flight=$((8 << 20))
    [ -n "${VENEER_OWN_NETWORK:-}" ] || return 0
    ip link set lo mtu 1500 up
    echo '4096 16384 16384' >/proc/sys/net/ipv4/tcp_rmem
    echo '4096 16384 16384' >/proc/sys/net/ipv4/tcp_wmem
    # shellcheck disable=SC2034
    in_flight=$((3 * 32768))
}

# ---- one device: engine, folder and what it follows

# device_is ENGINE FOLDER [REPO]: the device that the functions below are about; its state and its engine's data are in FOLDER.
device_is() {
    engine=$1
    device=$2
    repo=${3:-device/app}
    followed=$(reg reg)/$repo:prod
    case $engine in
    moby) endpoint=unix://$run_dir/moby/sock ;;
    containerd) endpoint=$run_dir/containerd/sock ;;
    podman)
        # podman insists on the file
        [ -e "$DOCKER_CONFIG/config.json" ] || echo '{}' >"$DOCKER_CONFIG/config.json"
        endpoint="--root $device/podman --runroot $run_dir/podman/run --storage-driver vfs"
        ;;
    *) endpoint=$device/root ;;
    esac
    device_options=(--engine "$engine" --endpoint "$endpoint" --state "$device/state")
}

# pull VERB [ARGUMENT]...: stdout in $out, stderr in $err, status in $rc.
pull() {
    rc=0
    "$veneer_pull" "$1" "${device_options[@]}" --format json "${@:2}" >"$out" 2>"$err" || rc=$?
}
# pull_faulty NAME=VALUE... -- [ARGUMENT]...: "once" below the shim.
pull_faulty() {
    local set=()
    while [ "$1" != -- ]; do
        set+=("$1")
        shift
    done
    shift
    rc=0
    # the shell's word about a process that was killed is not wanted
    { faulty "${set[@]}" "$veneer_pull" once "${device_options[@]}" --format json --now --plain-http "$@" "$followed" >"$out" 2>"$err" || rc=$?; } \
        2>/dev/null
}
once() { pull once --now --plain-http "$followed"; }

# device_prepare: a device with the releases 1 and thin-2, the first in full and the second by its delta; then the channel names
# thin-3. Sets old and new, the digests of thin-2 and thin-3.
device_prepare() {
    mkdir -p "$device/state" "$device/root"
    old=$(manifest_digest reg "$repo" thin-2)
    new=$(manifest_digest reg "$repo" thin-3)
    local tag
    for tag in 1 thin-2; do
        set_channel "$repo" $tag
        once
        [ "$rc" = 0 ] || die "release $tag does not reach the device: exit $rc, $(tail -n 2 "$err")"
    done
    set_channel "$repo" thin-3
}

# ---- what must be true at any instant

active_release() { jq -r '[.releases[] | select(.active) | .digest] | if length == 1 then .[0] else "(\(length))" end' "$1" 2>/dev/null; }

# device_look: sets current, the digest of the active release, and problem: what is wrong with the device, or nothing when the old
# or the new release is there, whole.
device_look() {
    local layout=()
    pull status
    [ "$engine" != oci ] || layout=("$endpoint" "$followed")
    { read -r current && read -r problem; } < <(/usr/bin/python3 -IS "$e2e_dir/look.py" "$out" "$old" "$new" "${layout[@]}") ||
        problem="look.py failed"
    if [ "$rc" != 0 ]; then problem="status: exit $rc: $(tail -n 1 "$err")"; fi
    if [ -z "$problem" ] && [ "$engine" != oci ]; then problem=$("problem_$engine" 2>&1); fi
}

tree_digest() {
    tar --sort=name --mtime=@0 --numeric-owner --format=posix --pax-option=delete=atime,delete=ctime,exthdr.name=%f \
        --xattrs --xattrs-include='*' -C "$1" -cf - . | sha256sum | cut -c1-64
}
# The current tree is one of the two; expected_tree[old] and [new] come from runs that nothing disturbed.
declare -A expected_tree=()
problem_rootfs() {
    local got
    got=$(tree_digest "$endpoint/current/" 2>&1)
    case $got in
    "${expected_tree[old]:-}" | "${expected_tree[new]:-}") ;;
    *) echo "the current tree is neither of the two: $(readlink "$endpoint/current"), $got" ;;
    esac
}

problem_moby() {
    local id got
    id=$(on moby create "$followed" true 2>&1) || {
        echo "no container: $id"
        return
    }
    got=$(on moby export "$id" | tree_of_tar)
    on moby rm "$id" >/dev/null
    case $got in
    "${expected_tree[old]:-}" | "${expected_tree[new]:-}") ;;
    *) echo "the container's tree is neither of the two: $got" ;;
    esac
}
problem_containerd() {
    local got
    got=$(tree_of_mount 2>&1)
    case $got in
    "${expected_tree[old]:-}" | "${expected_tree[new]:-}") ;;
    *) echo "the image's tree is neither of the two: $got" ;;
    esac
}
problem_podman() {
    local got
    # it warns there of layers that a cut left incomplete
    got=$(tree_of_podman 2>"$run_dir/podman-said") || true
    case $got in
    "${expected_tree[old]:-}" | "${expected_tree[new]:-}") ;;
    *) echo "the image's tree is neither of the two: $got $(tail -n 3 "$run_dir/podman-said")" ;;
    esac
}
podman_here() {
    local args
    read -ra args <<<"$endpoint"
    podman "${args[@]}" "$@"
}
tree_of_podman() {
    local at status=0
    at=$(podman_here image mount "$followed") || return
    tree_digest "$at" || status=$?
    podman_here image unmount "$followed" >/dev/null
    return $status
}
# The tree of the followed image, mounted by containerd from what it unpacked.
tree_of_mount() {
    local at=$run_dir/export status=0
    mkdir -p "$at"
    ctr_on containerd images mount --rw "$followed" "$at" >/dev/null || return
    tree_digest "$at" || status=$?
    ctr_on containerd images unmount --rm "$at" >/dev/null
    return $status
}
# The paths, kinds, owners and sizes of an exported container, and the bytes of the files.
tree_of_tar() {
    rm -rf "$run_dir/export"
    mkdir "$run_dir/export"
    tar -C "$run_dir/export" --exclude=./dev --exclude=dev --exclude=.dockerenv --exclude=etc/hostname --exclude=etc/hosts \
        --exclude=etc/resolv.conf --exclude=etc/mtab --exclude=proc --exclude=sys --xattrs --xattrs-include='*' -xpf -
    tree_digest "$run_dir/export"
}

# remember_tree WHICH: what the device has now is the expected tree of old or new.
remember_tree() {
    case $engine in
    rootfs) expected_tree[$1]=$(tree_digest "$endpoint/current/") ;;
    containerd) expected_tree[$1]=$(tree_of_mount) ;;
    podman) expected_tree[$1]=$(tree_of_podman) ;;
    moby)
        local id
        id=$(on moby create "$followed" true)
        expected_tree[$1]=$(on moby export "$id" | tree_of_tar)
        on moby rm "$id" >/dev/null
        ;;
    esac
}

# converge: one undisturbed run; sets problem, or nothing when the device has the new release then.
converge() {
    once
    if [ "$rc" != 0 ]; then
        problem="the next run: exit $rc: $(tail -n 1 "$err")"
        return
    fi
    device_look
    if [ -n "$problem" ]; then
        problem="after the next run: $problem"
    elif [ "$current" != "$new" ]; then
        problem="after the next run: active is $current"
    fi
}

# ---- the engine, and copies of the prepared device

engine_up() {
    case $engine in
    moby) start_dockerd moby --data "$device/moby" ;;
    containerd) start_containerd containerd --data "$device/containerd" ;;
    *) return 0 ;;
    esac
    # nobody waits for it: it may be killed
    disown "$!" 2>/dev/null || true
}
# As the power goes: no word of farewell.
engine_down() {
    local file pid d=$run_dir/$engine
    # what was started for a program that was killed goes with the power
    pkill -KILL -f -- "--address $d/sock" 2>/dev/null || true
    if [ "$engine" = podman ]; then
        podman_processes KILL
        drop_mounts "$device"
        rm -rf "$d/run"
    fi
    [ -e "$d/pid" ] || return 0
    for file in "$d/pid" "$d/exec/containerd/containerd.pid"; do
        pid=$(cat "$file" 2>/dev/null || true)
        [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
        while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
    done
    drop_mounts "$device"
    drop_mounts "$d"
    rm -rf "$d/pid" "$d/exec" "$d/sock" "$d/state"
}
# podman has no daemon: each command is a process, which may outlive who started it.
podman_processes() {
    while pkill "-$1" -f -- "--root $device/podman" 2>/dev/null; do sleep 0.02; done
}
engine_stop() {
    case $engine in
    moby | containerd) stop_pidfile "$run_dir/$engine/pid" ;;
    podman) podman_processes TERM ;;
    esac
}

# device_save COPY, device_reset COPY: the device with its engine's data, which is started again.
device_save() {
    engine_stop
    rm -rf "$1"
    cp -a "$device" "$1"
    engine_up
}
device_reset() {
    engine_down
    rm -rf "${device:?}"
    cp -a "$1" "$device"
    engine_up
}
