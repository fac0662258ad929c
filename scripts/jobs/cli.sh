# shellcheck shell=bash
# What a person at the terminal meets: help and manual pages agree with the programs.

programs=(veneer veneer-pull)

# commands_of PROGRAM, as its help lists them: indented, name, two spaces, summary.
commands_of() {
    "build/gcc/$1" help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'
}

# Those and the commands behind them, each on a line: "rebase", "delta make".
all_commands_of() {
    local command sub
    for command in $(commands_of "$1"); do
        echo "$command"
        for sub in $("build/gcc/$1" "$command" --help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'); do
            echo "$command $sub"
        done
    done
}

# options_of PROGRAM COMMAND: every word that looks like a long option at the start of a help line.
options_of() {
    # shellcheck disable=SC2086
    "build/gcc/$1" $2 --help | grep -oE '^ +(-[A-Za-z],? *)?--[a-z][a-z-]*' | grep -oE -e '--[a-z-]+' | sort -u
}

# page_of PROGRAM COMMAND
page_of() {
    local page=man/$1-${2%% *}.1
    if [ "$1" = veneer-pull ]; then page=man/veneer-pull.8; fi
    if [ -e "$page" ]; then echo "$page"; else echo "man/$1.1"; fi
}

help_of() {
    local program=$1 command all rc
    shift
    mapfile -t all < <(all_commands_of "$program")
    for command in "$@"; do
        [[ " ${all[*]} " == *" $command "* ]] || {
            echo "$program help does not list $command"
            bad=1
        }
    done
    for command in "" "${all[@]}"; do
        rc=0
        # shellcheck disable=SC2086
        "build/gcc/$program" $command --help >build/check/help.out 2>build/check/help.err || rc=$?
        if [ $rc != 0 ] || [ -s build/check/help.err ] || [ ! -s build/check/help.out ]; then
            echo "$program $command --help: exit $rc, $(wc -c <build/check/help.err) bytes on stderr"
            bad=1
        fi
        awk -v c="$program $command" 'length($0) > 80 { printf "%s --help: %d columns: %s\n", c, length($0), $0; n++ }
            END { exit n != 0 }' build/check/help.out || bad=1
    done
    for command in "${all[@]}"; do
        rc=0
        # shellcheck disable=SC2086
        "build/gcc/$program" ${command}x >build/check/help.out 2>build/check/help.err || rc=$?
        if [ $rc != 2 ] || [ -s build/check/help.out ] || ! grep -qw -e "$command" build/check/help.err; then
            echo "$program ${command}x: exit $rc instead of 2, or something on stdout, or no suggestion"
            cat build/check/help.err
            bad=1
        fi
        rc=0
        # shellcheck disable=SC2086
        "build/gcc/$program" $command --no-such-option >build/check/help.out 2>build/check/help.err || rc=$?
        if [ $rc != 2 ] || [ -s build/check/help.out ] || ! grep -q -e no-such-option build/check/help.err; then
            echo "$program $command --no-such-option: exit $rc instead of 2, or something on stdout, or it is not named"
            bad=1
        fi
    done
}

job_help() {
    local bad=0
    build_gcc >/dev/null
    help_of veneer diff rebase delta inspect copy sign verify login logout version completion help
    help_of veneer-pull once watch status history rollback pin gc wake verify import version completion help
    return $bad
}

job_man() {
    local program page command option all bad=0
    build_gcc >/dev/null
    for page in man/*; do
        mandoc -T lint -W warning "$page" || bad=1
    done
    for program in "${programs[@]}"; do
        mapfile -t all < <(all_commands_of "$program")
        [ ${#all[@]} -gt 0 ] || {
            echo "$program help lists no command"
            return 1
        }
        for command in "${all[@]}"; do
            page=$(page_of "$program" "$command")
            grep -qE "^\.(Nm|Sh|Ss|It|Xr|Cm).*\b$command\b" "$page" || {
                echo "$page has no entry for $program $command"
                bad=1
            }
            for option in $(options_of "$program" "$command"); do
                grep -qE "Fl (Fl |-)?-?${option#--}([^a-z-]|\$)" "$page" "$(page_of "$program" "")" || {
                    echo "$page: --help of $program $command has $option, the page has not"
                    bad=1
                }
            done
        done
    done
    return $bad
}
