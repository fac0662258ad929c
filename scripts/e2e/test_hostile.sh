#!/usr/bin/env bash
# Networks and registries on a bad day: what passes is tried again or told as such (exit 5), wrong bytes are exit 4, and whatever
# was fetched before is not fetched again.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

"$tree_dir/scripts/mkimage" "$run_dir/layout" <<'EOF' >/dev/null
image 1
layer gzip COPY model.pkl
file model.pkl noise=1:200000
EOF

# start_hostile NAME [OPTION...]
start_hostile() {
    local d=$run_dir/$1
    mkdir -p "$d"
    : >"$d/control"
    python3 "$e2e_dir/hostile.py" --port-file "$d/ports" "${@:2}" "$run_dir/layout" "$d/control" "$d/log" >"$d/error" 2>&1 &
    echo $! >"$d/pid"
    wait_for 10 "hostile registry $1" "$d/error" test -e "$d/ports"
}

# day NAME SERVER LINE...: a copy from SERVER, spoilt as the lines say, into $run_dir/NAME.
day() {
    local name=$1 server=$run_dir/$2
    shift 2
    printf '%s\n' "$@" >"$server/control"
    : >"$server/log"
    rc=0
    VENEER_CACHE_DIR=$run_dir/cache-$name "$veneer" copy -v --retries "$retries" "127.0.0.1:$(cut -d' ' -f1 "$server/ports")/x/y:1" \
        "oci:$run_dir/out-$name:1" >"$run_dir/$name.out" 2>"$run_dir/$name.err" || rc=$?
    out=$run_dir/$name.out err=$run_dir/$name.err
}

# passes NAME SERVER LINE...: what was served in the end is the image.
passes() {
    day "$@"
    status "$1: passes" 0
    is "$1: the layer" "$(sha256sum <"$run_dir/out-$1/blobs/sha256/$layer")" "$layer  -"
}

# fails NAME EXIT TEXT SERVER LINE...: and no image is left.
fails() {
    local name=$1 code=$2 text=$3
    day "$name" "${@:4}"
    status "$name: exit $code" "$code"
    has "$name: says why" "$err" "$text"
    is "$name: no image" "$(jq -r '.manifests[]? | .digest' "$run_dir/out-$name/index.json" 2>/dev/null)" ""
}

# asked SERVER FILTER: how many requests fit.
asked() { jq -s "[.[] | select($2)] | length" "$run_dir/$1/log"; }

retries=2
blobs='GET /v2/*/blobs/*' tags='GET /v2/*/manifests/*'
layer=$("$tree_dir/scripts/mkimage" --blob "$run_dir/layout" 1 0)
layer=${layer##*/}
start_hostile plain
start_hostile secret --auth
start_hostile mute
start_hostile slow
check "what spoils things does so" python3 "$e2e_dir/hostile.py" --selftest

# the two that take as long as silence is borne, beside the rest
(
    retries=1
    day mute mute "$tags silent"
    echo $rc >"$run_dir/mute.rc"
) &
mute=$!
(
    retries=1
    day slow slow "$tags drip 1 head"
    echo $rc >"$run_dir/slow.rc"
) &
slow=$!

passes fine plain ""
passes cut plain "$blobs cut 100000 times=1"
is "cut: goes on where it ended" "$(asked plain '.range == "bytes=100000-"')" 1
passes whole plain "$blobs cut 100000 times=1" "$blobs whole times=1"
passes wrong-range plain "$blobs cut 100000 times=1" "$blobs range -1 times=1"
is "wrong range: asks for everything" "$(asked plain '(.path | contains("blobs")) and .range == null and .status == 200')" 3
passes reset plain "$blobs reset 100000 times=1" "$tags reset 10 times=1"
fails always-cut 5 "bytes; resumed twice, gave up" plain "$blobs cut 1000"
fails always-reset 5 "ended early" plain "$tags reset 0"

fails flipped 4 "expected" plain "$blobs flip 20"
fails flipped-manifest 3 "not valid JSON" plain "$tags flip 1"
fails longer 4 "the registry announces" plain "$blobs length 5"
fails shorter 4 "the registry announces" plain "$blobs length -5"

passes busy plain "$tags busy 429 1 times=1" "$blobs busy 503 date 2 times=1"
fails busy-for-long 5 "asks to be left alone for 7200 seconds" plain "$tags busy 429 7200"
fails busy-until 5 "asks to be left alone for" plain "$tags busy 503 date 7200"
fails always-busy 5 "answered 503 (Service Unavailable)" plain "$tags busy 503"
fails broken 3 "answered 400" plain "$tags status 400"
fails forbidden 3 "wants credentials for pull of x/y" plain "$tags status 403"

passes tokens secret "$blobs cut 100000 times=1" "$blobs tokens times=1"
is "tokens: another one was asked for" "$(asked secret '.path == "/token"')" 2
passes redirect secret "$blobs redirect"
is "redirect: the registry was shown a token" "$(asked secret '.host == "registry" and .status == 307 and .authorization')" 2
is "redirect: the storage was not" "$(asked secret '.host == "storage" and .authorization')" 0
hasnt "redirect: links stay private" "$err" secret
passes expired secret "$blobs expired times=1" "$blobs redirect"
fails always-expired 5 "the storage of 127.0.0.1" secret "$blobs expired"

fails portal 5 "answered with a web page, expected a manifest" plain "* * portal"
fails login 5 "answered with a web page, expected a manifest" plain "* * login"
fails portal-later 5 "answered with a web page, expected a blob" plain "$blobs portal"

wait $mute $slow
for name in mute slow; do
    err=$run_dir/$name.err out=$run_dir/$name.out rc=$(cat "$run_dir/$name.rc")
    status "$name: exit 5" 5
    has "$name: says why" "$err" "60 seconds"
done
