# shellcheck shell=bash
# Builds, and what is asked of their result. Each configuration has a folder of its own below build/.

# skip WORDS: this job cannot say anything here.
skip() {
    printf 'skip %s\n' "$*" >>"${CHECK_RESULT:-/dev/stderr}"
    exit 0
}

# files [PATTERN...]: the files of this tree, committed or about to be.
files() {
    local file
    git ls-files -co --exclude-standard -- "$@" | while IFS= read -r file; do
        if [ -f "$file" ]; then printf '%s\n' "$file"; fi
    done
}

# build FOLDER WHAT... [VARIABLE=VALUE...]: two jobs may want the same folder.
build() {
    local folder=build/$1
    shift
    mkdir -p "$folder"
    flock "$folder/lock" make -j2 BUILD="$folder" "$@"
}

build_gcc() { build gcc CC=gcc EXTRA_CFLAGS=-Werror all tests fuzzers; }
build_clang() { build clang CC=clang CFLAGS='-O1 -g' EXTRA_CFLAGS=-Werror all tests fuzzers; }
build_asan() { build asan CC=gcc CONFIG=asan all tests fuzzers; }

job_build_gcc() { build_gcc; }
job_build_clang() { build_clang; }

# The preprocessor's flags, one a line, for tools that only look.
flags_of_tree() {
    # shellcheck disable=SC2016
    make -s --no-print-directory --eval='show-flags:;$(info -std=gnu11 $(ALL_CPPFLAGS))@:' show-flags | xargs -n 1
}

job_bits_32() {
    local flags sources
    printf '#include <stdio.h>\nint main(void) { return 0; }\n' | gcc -m32 -x c -o /dev/null - 2>/dev/null ||
        skip "gcc -m32 does not work here (gcc-multilib)"
    mapfile -t flags < <(flags_of_tree)
    mapfile -t sources < <(files 'lib/*.c' 'cmd/*.c')
    printf '%s\0' "${sources[@]}" | xargs -0 -n 8 -P 2 gcc -m32 -fsyntax-only -Wall -Wextra -Werror "${flags[@]}"
}

job_headers() {
    local header flags
    for header in include/veneer/*.h; do
        echo "$header"
        gcc -x c -std=c11 -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only "$header"
        clang -x c++ -std=c++11 -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only "$header"
    done
    mapfile -t flags < <(flags_of_tree)
    for header in lib/*/*.h; do
        echo "$header"
        gcc -x c "${flags[@]}" -Wall -Wextra -Werror -Wno-unused-variable -Wno-unused-function -fsyntax-only "$header"
    done
}

job_exports() {
    local odd
    build_gcc >/dev/null
    [ -e lib/api/veneer.sym ] || {
        echo "lib/api/veneer.sym is missing"
        return 1
    }
    nm -D --defined-only build/gcc/libveneer.so | awk '{ print $NF }' | sort >build/check/exports.now
    LC_ALL=C sort -c lib/api/veneer.sym
    diff -u lib/api/veneer.sym <(LC_ALL=C sort build/check/exports.now) || {
        echo "a symbol that was added on purpose goes into lib/api/veneer.sym"
        return 1
    }
    odd=$(grep -v '^vn_' build/check/exports.now || true)
    # the same names reach everybody who links libveneer.a
    odd+=$(nm -g --defined-only build/gcc/libveneer.a | awk 'NF == 3 && $3 !~ /^(vn_|_?_?asan|_?_?ubsan)/ { print $3 }')
    [ -z "$odd" ] || {
        printf 'without the prefix vn_:\n%s\n' "$odd"
        return 1
    }
    # a device's program takes along what a device needs
    odd=$(readelf -d build/gcc/veneer-pull | grep -E 'NEEDED.*(libgit2|libsqlite3)' || true)
    [ -z "$odd" ] || {
        printf 'veneer-pull loads what it has no use for:\n%s\n' "$odd"
        return 1
    }
}

# verify_units PREFIX COPY: the units that were installed there, with the paths that they have there.
verify_units() {
    local unit
    mkdir "$2"
    for unit in "$1"/lib/systemd/system/*; do
        sed "s#/opt/veneer/#$1/#" "$unit" >"$2/$(basename "${unit/@/@x}")"
    done
    systemd-analyze verify --man=no "$2"/*
}

job_install() {
    local root version
    build_gcc >/dev/null
    root=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$root'" EXIT
    install_make() { build gcc CC=gcc EXTRA_CFLAGS=-Werror DESTDIR="$root/d" PREFIX=/opt/veneer "$@"; }
    install_make install
    find "$root/d" -type f -printf '%m %P\n' | sort -k2
    if find "$root/d" -type f -size 0 | grep .; then
        echo "empty files were installed"
        return 1
    fi

    printf '%s\n' '#include <veneer/error.h>' 'int main(void) { return vn_exit_status(VN_OK); }' >"$root/use.c"
    export PKG_CONFIG_PATH=$root/d/opt/veneer/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=
    use_flags() { pkg-config --define-variable=prefix="$root/d/opt/veneer" --define-variable=libdir="$root/d/opt/veneer/lib" \
        --define-variable=includedir="$root/d/opt/veneer/include" "$@" veneer; }
    # shellcheck disable=SC2046
    gcc -Wall -Werror -o "$root/shared" "$root/use.c" $(use_flags --cflags --libs)
    LD_LIBRARY_PATH=$root/d/opt/veneer/lib "$root/shared"
    readelf -d "$root/shared" | grep -F 'libveneer.so.'
    # our library static, the others as the system has them
    # shellcheck disable=SC2046
    gcc -Wall -Werror -pthread -o "$root/static" "$root/use.c" $(use_flags --cflags) "$root/d/opt/veneer/lib/libveneer.a" \
        $(pkg-config --libs $(use_flags --print-requires-private))
    "$root/static"
    if readelf -d "$root/static" | grep -F libveneer; then
        echo "the static program needs the shared library"
        return 1
    fi
    "$root/d/opt/veneer/bin/veneer" version
    "$root/d/opt/veneer/bin/veneer-pull" version
    if command -v systemd-analyze >/dev/null; then verify_units "$root/d/opt/veneer" "$root/units"; fi

    install_make uninstall
    if find "$root/d" ! -type d | grep .; then
        echo "uninstall left these"
        return 1
    fi

    copy_of_tree "$root/clone"
    make -C "$root/clone" dist
    version=$(sed -n 's/^VERSION := //p' Makefile)
    tar -C "$root" -xzf "$root/clone/veneer-$version.tar.gz"
    make -C "$root/veneer-$version" -j2 CFLAGS=-O0 all
    "$root/veneer-$version/build/veneer" version

}

# copy_of_tree DIR: a clone that holds this tree as it is, with what is not committed yet.
copy_of_tree() {
    mkdir -p "$1"
    files | tar -cf - -T - | tar -C "$1" -xf -
    (
        cd "$1" || exit
        git init -q
        git add -A
        git -c user.name=check -c user.email=check@localhost commit -q -m copy
    )
}

job_untracked() {
    local root left
    root=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$root'" EXIT
    copy_of_tree "$root/clone"
    cd "$root/clone" || exit
    make -j2 CFLAGS=-O0 all tests fuzzers
    scripts/run-tests
    make CFLAGS=-O0 DESTDIR="$root/d" install >/dev/null
    left=$(git status --porcelain)
    [ -z "$left" ] || {
        printf 'a build and its tests leave:\n%s\n' "$left"
        return 1
    }
    make clean
    left=$(git status --porcelain --ignored)
    [ -z "$left" ] || {
        printf 'make clean leaves:\n%s\n' "$left"
        return 1
    }
}
