# shellcheck shell=bash
# Runs of the tests under different conditions. Only the plain run and e2e count what they ran; the others repeat it.

# counted FILE: "unit: N passed, N failed" and the like, for the sum at the end.
counted() {
    sed -n 's/^\(unit\|fuzz\|cases\|e2e\): \([0-9]*\) passed, \([0-9]*\) failed$/counts \2 \3/p' "$1" >>"${CHECK_RESULT:-/dev/null}"
}

job_unit() {
    build_gcc >/dev/null
    BUILD=build/gcc scripts/run-tests | tee build/check/unit.out || {
        counted build/check/unit.out
        return 1
    }
    counted build/check/unit.out
}

job_sanitizers() {
    build_asan >/dev/null
    # a report must not look like the exit status of a command
    local options=exitcode=99
    BUILD=build/asan LIMIT=1200 VENEER_CASE_ENV="ASAN_OPTIONS=$options UBSAN_OPTIONS=$options LSAN_OPTIONS=$options" \
        scripts/run-tests
}

job_valgrind() {
    build_gcc >/dev/null
    # test_inflate works through gigabytes; the sanitizers see it
    LEAVE_OUT="stream/test_inflate" \
        RUNNER="valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect --num-callers=20" \
        BUILD=build/gcc LIMIT=1500 scripts/run-tests unit
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n -E "$@"
    fi
}

job_no_network() {
    build_gcc >/dev/null
    as_root unshare -n true 2>/dev/null || skip "unshare -n needs root"
    # loopback stays: tests talk to servers of their own
    as_root env BUILD=build/gcc unshare -n sh -c 'python3 -c "
import fcntl, socket, struct
up = struct.pack(\"16sH14x\", b\"lo\", 1)
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, up)
" && scripts/run-tests unit'
}

job_locale() {
    build_gcc >/dev/null
    export BUILD=build/gcc
    (
        umask 077
        VENEER_CASE_ENV="LC_ALL=C TZ=Pacific/Kiritimati" scripts/run-cases | grep -v '^ok '
        exit "${PIPESTATUS[0]}"
    )
    local other
    other=$(locale -a | grep -iE '^(de_DE|tr_TR|fr_FR)\.utf-?8$' | head -n 1 || true)
    [ -n "$other" ] || {
        echo "no other locale is installed here"
        return 0
    }
    VENEER_CASE_ENV="LC_ALL=$other TZ=America/St_Johns" scripts/run-cases | grep -v '^ok '
    return "${PIPESTATUS[0]}"
}

job_reproducible() {
    local root image first second
    build_gcc >/dev/null
    root=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$root'" EXIT
    local veneer=$PWD/build/gcc/veneer
    scripts/mkimage "$root/images" <testdata/cli/pair.image
    cd "$root" || exit
    once() {
        env -i PATH="$PATH" HOME="$root/home.$1" "${@:2}" "$veneer" rebase oci:images:1 oci:images:2 "oci:$1:thin"
    }
    once first LC_ALL=C TZ=UTC
    sleep 1.1
    (umask 077 && once second LC_ALL=C.UTF-8 TZ=Pacific/Kiritimati TMPDIR=/var/tmp)
    image='import json, sys; print(json.load(open(sys.argv[1] + "/index.json"))["manifests"][0]["digest"])'
    first=$(python3 -c "$image" first)
    second=$(python3 -c "$image" second)
    printf '%s\n%s\n' "$first" "$second"
    [ "$first" = "$second" ]
    diff -r first/blobs second/blobs
}

job_e2e() {
    [ -z "${VENEER_SKIP_E2E:-}" ] || skip "VENEER_SKIP_E2E is set"
    [ "$(uname -s)" = Linux ] || skip "needs Linux"
    as_root true 2>/dev/null || skip "needs root"
    build_gcc >/dev/null
    VENEER=$PWD/build/gcc/veneer scripts/e2e/run | tee build/check/e2e.out || {
        counted build/check/e2e.out
        return 1
    }
    counted build/check/e2e.out
}
