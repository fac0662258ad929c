# shellcheck shell=bash
# What the sources themselves must hold. Nothing here compiles a program.

c_files() { files 'lib/*.[ch]' 'cmd/*.[ch]' 'include/*.h'; }

job_layers() { scripts/check-layers; }

# code_of FILE...: "FILE:LINE:TEXT" without comments, strings and character constants.
code_of() {
    awk '
    FNR == 1 { inside = 0 }
    {
        text = $0
        out = ""
        while (text != "") {
            if (inside) {
                at = index(text, "*/")
                if (!at)
                    break
                text = substr(text, at + 2)
                inside = 0
                continue
            }
            if (!match(text, /"|'"'"'|\/\*|\/\//)) {
                out = out text
                break
            }
            out = out substr(text, 1, RSTART - 1)
            mark = substr(text, RSTART, RLENGTH)
            text = substr(text, RSTART + RLENGTH)
            if (mark == "//")
                break
            if (mark == "/*") {
                inside = 1
                continue
            }
            while (text != "" && substr(text, 1, 1) != mark)
                text = substr(text, substr(text, 1, 1) == "\\" ? 3 : 2)
            text = substr(text, 2)
            out = out mark mark
        }
        print FILENAME ":" FNR ":" out
    }' "$@"
}

# banned PATTERN WHY <CODE: lines whose code matches, with the reason.
banned() {
    local found
    found=$(grep -E "^[^:]*:[0-9]*:(.*[^A-Za-z0-9_.>])?($1)" || true)
    [ -z "$found" ] || {
        printf '%s:\n%s\n' "$2" "$found"
        bad=1
    }
}

job_banned() {
    local bad=0 all code library
    mapfile -t all < <(c_files)
    code=build/check/code.all
    library=build/check/code.lib
    code_of "${all[@]}" >$code
    grep '^lib/' $code | grep -vE '^lib/[a-z]+/(test_|fuzz_|fake)|^lib/util/test\.h' >$library || true

    banned '(strcpy|strcat|sprintf|vsprintf|gets|strtok) *\(' 'writes without knowing the room' <$code
    banned '(atoi|atol|atoll|atof|sscanf) *\(' 'reads a number without checking it; see util/num.h' <$code
    banned '(alloca) *\(' 'grows the stack' <$code
    banned '(tmpnam|tempnam|mktemp) *\(' 'a name is no file; see vn_tmp' <$code
    banned 'goto +[a-z]' 'cleanup is VN_AUTO' <$code
    banned '(system|popen) *\(' 'a shell' < <(grep -vE '^lib/[a-z]+/test_' $code)
    banned '(setlocale|localtime|localtime_r|mktime|strftime|wcstombs|mbstowcs) *\(' \
        'depends on locale or time zone' < <(grep -vE '^lib/([a-z]+/test_|pull/clock)' $code)
    banned '(exit|abort|printf|vprintf|puts|putchar|perror) *\(' 'the library neither prints nor exits' <$library
    banned '(stdout|stderr)[^A-Za-z0-9_]' 'the library does not print' <$library
    banned '(rand|srand|random|srandom|drand48) *\(' 'see vn_random' <$library
    # expiry of a token or a signature, retry dates, windows and months of a device, age of cache files, and what a program shows
    banned '(time *\(|gettimeofday|CLOCK_REALTIME)' 'the wall clock' < \
        <(grep -vE '^(lib/registry|lib/image/cache|lib/api/sign|lib/pull/clock|cmd)/?[^:]*:' $library)
    return $bad
}

job_size_limits() {
    local all
    mapfile -t all < <(c_files)
    LC_ALL=C awk '
    function end_file() {
        if (name != "" && last > 600) {
            printf "%s: %d lines, at most 600\n", name, last
            wrong++
        }
    }
    FNR == 1 { end_file(); name = FILENAME; start = 0 }
    { last = FNR }
    /^[A-Za-z_].*[^;]$/ { head = FNR; title = $0 }
    /^\{/ { start = head }
    /^\}/ {
        if (start && FNR - start + 1 > 120) {
            printf "%s:%d: %d lines, at most 120: %s\n", FILENAME, start, FNR - start + 1, title
            wrong++
        } else if (start && FNR - start + 1 > 60)
            long++
        if (start)
            functions++
        start = 0
    }
    {
        line = $0
        gsub(/\t/, "        ", line)
        gsub(/[\200-\277]/, "", line)                       # UTF-8: count what begins a character
        if (length(line) > 140) {
            printf "%s:%d: %d columns, at most 140\n", FILENAME, FNR, length(line)
            wrong++
        } else if (length(line) > 128)
            wide++
    }
    END {
        end_file()
        printf "%d functions, %d of them above 60 lines; %d lines above 128 columns\n", functions, long, wide
        exit wrong != 0
    }' "${all[@]}"
}

# words PATTERN WHY FILE...
words() {
    local pattern=$1 why=$2 found
    shift 2
    found=$(printf '%s\0' "$@" | xargs -0 grep -nIE -e "$pattern" /dev/null | head -n 20 || true)
    [ -z "$found" ] || {
        printf '%s:\n%s\n' "$why" "$found"
        bad=1
    }
}

# The hosts that this machine takes its packages from: they may be private.
package_hosts() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        sed -n '/^#/d; s#.*https\{0,1\}://\([^/ ]*\).*#\1#p' | sort -u
}

job_words() {
    local bad=0 all c scripts host file
    mapfile -t all < <(files | grep -v '^testdata/fuzz/')
    mapfile -t c < <(c_files)
    mapfile -t scripts < <(script_files)
    words '\b(TO''DO|FIX''ME|X''XX|HA''CK)\b|not imple''mented|unimple''mented' 'left open' "${all[@]}"
    words '(^|[^[:alnum:]_.}])/(work|farm)/|(^|[^[:alnum:]_.}])/home/[a-z]+/' 'a path of a machine' "${all[@]}"
    while read -r host; do
        words "${host//./\\.}" 'a package host' "${all[@]}"
    done < <(package_hosts)
    words '[[:space:]]$' 'white space at the end' "${all[@]}"
    words $'^ +\t' 'a tab behind spaces' "${all[@]}"
    words '^        ' 'indented by spaces' "${c[@]}"
    words $'^ *\t' 'indented by tabs' "${scripts[@]}"
    words $'\r$' 'a carriage return' "${all[@]}"
    for file in "${all[@]}"; do
        if grep -Iq . "$file" && [ -n "$(tail -c 1 "$file" | tr -d '\n\0')" ]; then
            echo "$file: no newline at the end"
            bad=1
        fi
    done
    return $bad
}

# Everything that a shell or python runs.
script_files() {
    files | grep -E '^(scripts|\.ci|cmd/[^/]*/dist)/' | while IFS= read -r file; do
        if head -c 64 "$file" | grep -aqE '^(#!.*(sh|python3)|# shellcheck shell=)' || [[ $file == *.py ]]; then
            printf '%s\n' "$file"
        fi
    done
}

job_shellcheck() {
    local all file bad=0
    mapfile -t all < <(script_files)
    for file in "${all[@]}"; do
        if [[ $file == *.py ]] || head -n 1 "$file" | grep -q python; then
            python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$file" || bad=1
        else
            shellcheck -x "$file" || bad=1
        fi
    done
    printf '%d scripts\n' ${#all[@]}
    return $bad
}

# The names of rules are what people read in a diff.
job_rules() {
    local name bad=0 count=0
    while read -r name; do
        count=$((count + 1))
        grep -qE "^\.(It )?Cm (.* )?$name( |\$)" man/veneer-diff.1 || {
            echo "man/veneer-diff.1 does not describe the rule $name"
            bad=1
        }
    done < <({
        sed -nE 's/.*\{ "([a-z-]+)", VN_CLASS_.*/\1/p; s/.*add\(rules, "([a-z-]+)".*/\1/p' lib/diff/rules.c
        grep -oE '"(build-stamp|docker-builder|veneer-lineage)"' lib/diff/config.c | tr -d '"'
    } | sort -u)
    printf '%d rules\n' $count
    [ $count -gt 30 ] && return $bad
}

job_static() {
    local flags sources bad=0
    mapfile -t flags < <(flags_of_tree)
    mapfile -t sources < <(files 'lib/*.c' 'cmd/*.c')
    echo '# clang-tidy'
    printf '%s\0' "${sources[@]}" | grep -zvE '/(test|fuzz)_' |
        xargs -0 -n 4 -P 2 sh -c 'clang-tidy --quiet "$@" -- '"$(printf "'%s' " "${flags[@]}")" tidy \
            >build/check/tidy.out 2>build/check/tidy.err || bad=1
    cat build/check/tidy.out
    echo '# cppcheck'
    cppcheck --quiet -j 2 --std=c11 --enable=warning,portability,performance --inline-suppr --error-exitcode=1 \
        --suppressions-list=scripts/jobs/cppcheck.txt --template='{file}:{line}: {id}: {message}' \
        -Iinclude -Ilib -Icmd -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 '-DVN_VERSION="0"' -D__GNUC__ -U_WIN32 lib cmd || bad=1
    echo '# gcc -fanalyzer'
    printf '%s\0' "${sources[@]}" | grep -zE '^lib/(util|json|oci)/' | grep -zvE '/(test|fuzz)_' |
        xargs -0 -n 4 -P 2 gcc -fanalyzer -O1 -Werror -Wno-analyzer-malloc-leak -Wno-analyzer-fd-leak "${flags[@]}" \
            -fsyntax-only || bad=1
    return $bad
}
