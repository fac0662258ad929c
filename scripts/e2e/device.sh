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

# ---- the scene

# model NAME RELEASE KEPT CHANGED: bytes that every release has, then bytes of this one.
model() {
    noise 7 "$3" >"$run_dir/$1"
    noise "$2" "$4" >>"$run_dir/$1"
}
noise() { head -c "$2" /dev/zero | openssl enc -aes-128-ctr -nosalt -K "$(printf '%032x' "$1")" -iv 0 2>/dev/null; }

# release N: one image of the scene.
release() {
    cat <<WORDS
image $1
created 2023-11-1${1}T22:13:20Z
env PATH=/usr/bin
label org.opencontainers.image.version=$1
entrypoint /usr/bin/score
layer gzip-6 "base"
dir etc
file etc/os-release text="ID=test\nVERSION_ID=1\n"
dir usr
dir usr/bin
file usr/bin/score noise=score:90k mode=4755
hard usr/bin/score2 to=usr/bin/score
sym usr/bin/latest to=score2
dir tmp mode=1777
dir var
dir var/lib own=7:8
layer gzip-6 "model"
dir opt mtime=170000000$1
file opt/model.bin from=$run_dir/model mtime=170000000$1 xattr.user.release=$1
layer gzip-6 "dependencies"
dir usr/lib mtime=170000000$1
file usr/lib/libscore.so noise=lib:40k mode=755 mtime=170000000$1
file usr/lib/stamp text="built $1\n" mtime=170000000$1
WORDS
}

device_scene() {
    local hash scene=$world_dir/device-small n name from
    exec 7>"$world_dir/device-small.lock"
    flock 7
    hash=$(cat "$e2e_dir/device.sh" "$tree_dir/scripts/mkimage" "$veneer" | sha256sum | cut -c1-64)
    if [ "$(cat "$scene/hash" 2>/dev/null)" != "$hash" ]; then
        say "scene: the releases of a small device"
        rm -rf "$scene"
        start_registry making --storage "$scene"
        for name in app tiny; do
            for n in 1 2 3; do
                if [ $name = app ]; then model model $n 600000 600000; else model model $n 20000 20000; fi
                release $n | "$tree_dir/scripts/mkimage" "$run_dir/$name-$n" 2>"$run_dir/scene.log" ||
                    die "$(tail -n 3 "$run_dir/scene.log")"
                quiet "$veneer" copy "oci:$run_dir/$name-$n:$n" "$(reg making)/device/$name:$n"
            done
            quiet "$veneer" rebase "$(reg making)/device/$name:1" "$(reg making)/device/$name:2" "$(reg making)/device/$name:thin-2"
            quiet "$veneer" rebase "$(reg making)/device/$name:thin-2" "$(reg making)/device/$name:3" \
                "$(reg making)/device/$name:thin-3"
            quiet "$veneer" delta push --from "$(reg making)/device/$name:1" "$(reg making)/device/$name:thin-2"
            for from in 1 thin-2; do
                quiet "$veneer" delta push --from "$(reg making)/device/$name:$from" "$(reg making)/device/$name:thin-3"
            done
        done
        stop_registry making
        echo "$hash" >"$scene/hash"
    fi
    flock -u 7
}
quiet() { "$@" >"$run_dir/scene.log" 2>&1 || die "$(tail -n 3 "$run_dir/scene.log")"; }

# set_channel REPO TAG: "prod" names it from now on.
set_channel() {
    manifest reg "$1" "$2" >"$run_dir/channel"
    curl -sf --noproxy '*' -X PUT -H "Content-Type: $(jq -r .mediaType "$run_dir/channel")" \
        --data-binary "@$run_dir/channel" "$(reg_url reg)/v2/$1/manifests/prod" || die "the channel of $1 does not move to $2"
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
    *) endpoint=$device/root ;;
    esac
    device_options=(--engine "$engine" --endpoint "$endpoint" --state "$device/state" --plain-http)
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
    { faulty "${set[@]}" "$veneer_pull" once "${device_options[@]}" --format json --now "$@" "$followed" >"$out" 2>"$err" || rc=$?; } \
        2>/dev/null
}
once() { pull once --now "$followed"; }

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

# device_problem: says what is wrong with the device; nothing when the old or the new release is there, whole. Sets current.
device_problem() {
    pull status
    current=$(active_release "$out")
    if [ "$rc" != 0 ]; then
        echo "status: exit $rc: $(tail -n 1 "$err")"
    elif [ "$current" != "$old" ] && [ "$current" != "$new" ]; then
        echo "status: active is $current"
    else
        "problem_$engine"
    fi
}

# Every blob below every name is there and is what its digest says; the followed name is one of the two releases.
problem_oci() {
    local named blobs=$endpoint/blobs/sha256
    named=$(jq -r --arg n "$followed" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] as $r | $r == $n or $r == "prod")
        | .digest' "$endpoint/index.json" 2>&1)
    if [ "$named" != "$old" ] && [ "$named" != "$new" ]; then
        echo "the layout's name stands for \"$named\""
        return
    fi
    jq -r '.manifests[].digest | ltrimstr("sha256:")' "$endpoint/index.json" | sort -u >"$run_dir/manifests"
    (
        cd "$blobs" || exit
        {
            cat "$run_dir/manifests"
            xargs -r -a "$run_dir/manifests" jq -r '.config, .layers[] | .digest | ltrimstr("sha256:")'
        } | sort -u | awk '{ print $1 "  " $1 }' | sha256sum -c --quiet 2>&1 | head -n 3
    )
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
    moby)
        local id
        id=$(on moby create "$followed" true)
        expected_tree[$1]=$(on moby export "$id" | tree_of_tar)
        on moby rm "$id" >/dev/null
        ;;
    esac
}

# converged: "" when the device has the new release after one undisturbed run, or what is wrong.
converged() {
    local problem
    once
    if [ "$rc" != 0 ]; then
        echo "the next run: exit $rc: $(tail -n 1 "$err")"
        return
    fi
    problem=$(device_problem)
    if [ -n "$problem" ]; then
        echo "after the next run: $problem"
        return
    fi
    pull status
    [ "$(active_release "$out")" = "$new" ] || echo "after the next run: active is $(active_release "$out")"
}

# ---- the engine, and copies of the prepared device

engine_up() {
    if [ "$engine" = moby ]; then start_dockerd moby --data "$device/moby"; fi
}
# As the power goes: no word of farewell.
engine_down() {
    local file pid
    [ "$engine" = moby ] || return 0
    for file in "$run_dir/moby/pid" "$run_dir/moby/exec/containerd/containerd.pid"; do
        pid=$(cat "$file" 2>/dev/null || true)
        [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
        while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
    done
    drop_mounts "$device"
    rm -rf "$run_dir/moby/pid" "$run_dir/moby/exec" "$run_dir/moby/sock"
}
engine_stop() {
    if [ "$engine" = moby ]; then stop_dockerd moby; fi
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
