# shellcheck shell=bash
# shellcheck disable=SC2154
# Sourced by device.sh: makes the scene that it describes, once.

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
    hash=$({ cat "$e2e_dir/device_scene.sh" "$tree_dir/scripts/mkimage" && "$veneer" version; } | sha256sum | cut -c1-64)
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
