# shellcheck shell=bash
# What a person at the terminal meets: help and manual pages agree with the program.

# The commands as `veneer help` lists them: indented, name, two spaces, summary.
commands_of() {
    build/gcc/veneer help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'
}

# Those and the commands behind them, each on a line: "rebase", "delta make".
all_commands_of() {
    local command sub
    for command in $(commands_of); do
        echo "$command"
        for sub in $(build/gcc/veneer "$command" --help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'); do
            echo "$command $sub"
        done
    done
}

# Every word that looks like a long option at the start of a help line.
options_of() {
    # shellcheck disable=SC2086
    build/gcc/veneer $1 --help | grep -oE '^ +(-[A-Za-z],? *)?--[a-z][a-z-]*' | grep -oE -e '--[a-z-]+' | sort -u
}

job_help() {
    local command all bad=0 rc
    build_gcc >/dev/null
    mapfile -t all < <(all_commands_of)
    for command in diff rebase delta inspect copy sign verify login logout version completion help; do
        [[ " ${all[*]} " == *" $command "* ]] || {
            echo "veneer help does not list $command"
            bad=1
        }
    done
    for command in "" "${all[@]}"; do
        rc=0
        # shellcheck disable=SC2086
        build/gcc/veneer $command --help >build/check/help.out 2>build/check/help.err || rc=$?
        if [ $rc != 0 ] || [ -s build/check/help.err ] || [ ! -s build/check/help.out ]; then
            echo "veneer $command --help: exit $rc, $(wc -c <build/check/help.err) bytes on stderr"
            bad=1
        fi
        awk -v c="$command" 'length($0) > 80 { printf "veneer %s --help: %d columns: %s\n", c, length($0), $0; n++ }
            END { exit n != 0 }' build/check/help.out || bad=1
    done
    for command in "${all[@]}"; do
        rc=0
        # shellcheck disable=SC2086
        build/gcc/veneer ${command}x >build/check/help.out 2>build/check/help.err || rc=$?
        if [ $rc != 2 ] || [ -s build/check/help.out ] || ! grep -qw -e "$command" build/check/help.err; then
            echo "veneer ${command}x: exit $rc instead of 2, or something on stdout, or no suggestion"
            cat build/check/help.err
            bad=1
        fi
        rc=0
        # shellcheck disable=SC2086
        build/gcc/veneer $command --no-such-option >build/check/help.out 2>build/check/help.err || rc=$?
        if [ $rc != 2 ] || [ -s build/check/help.out ] || ! grep -q -e no-such-option build/check/help.err; then
            echo "veneer $command --no-such-option: exit $rc instead of 2, or something on stdout, or it is not named"
            bad=1
        fi
    done
    return $bad
}

job_man() {
    local page command option all bad=0
    build_gcc >/dev/null
    for page in man/*; do
        mandoc -T lint -W warning "$page" || bad=1
    done
    mapfile -t all < <(all_commands_of)
    for command in "${all[@]}"; do
        page=man/veneer-${command%% *}.1
        [ -e "$page" ] || page=man/veneer.1
        grep -qE "^\.(Nm|Sh|Ss|It|Xr).*\b$command\b" "$page" || {
            echo "$command has no page man/veneer-$command.1 and no entry in man/veneer.1"
            bad=1
        }
        for option in $(options_of "$command"); do
            grep -qE "Fl (Fl |-)?-?${option#--}([^a-z-]|\$)" "$page" man/veneer.1 || {
                echo "$page: --help of $command has $option, the page has not"
                bad=1
            }
        done
    done
    [ ${#all[@]} -gt 0 ] || {
        echo "veneer help lists no command"
        return 1
    }
    return $bad
}
