#!/usr/bin/env bash
# A model of 6 kB reaches a device that holds OLD: bytes on the wire, by a meter.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

"$e2e_dir/wire" "$run_dir/wire" 2>"$err" || rc=$?
if [ $rc = 77 ]; then
    ok "skipped: network namespaces are not allowed here"
    exit 0
fi
status "measured" 0
bytes() { awk -v n="$1" '$1 == n { print $2 }' "$run_dir/wire"; }
fact() { sed -n "s/^fact $1 //p" "$run_dir/wire"; }

less "docker pull of the thin image against the article's" "$(bytes pull-thin-2)" "$(bytes pull-small-article)"
if [ "$(bytes pull-small-2)" -gt 390000000 ]; then ok "docker pull of NEW: $(bytes pull-small-2)"; else not_ok "docker pull of NEW"; fi
less "delta against OLD, full handshake" "$(bytes first-full)" 9000
less "delta against OLD, resumed" "$(bytes first-resumed)" 6500
less "delta against the last release, full handshake" "$(bytes next-full)" 9000
less "delta against the last release, resumed" "$(bytes next-resumed)" 6500
less "no news, full handshake" "$(bytes poll-full)" 5100
less "no news, resumed" "$(bytes poll-resumed)" 2500
for name in first next; do
    is "$name: one HEAD and one GET over TLS 1.3" "$(fact $name-full | sed 's/^delta-[0-9a-f]* 200 [0-9]* //')" "full TLSv1.3"
    is "$name: the session was resumed" "$(fact $name-resumed | awk '{ print $4 }')" resumed
done
is "no news is said by the HEAD alone" "$(fact poll-full)" "no news full TLSv1.3"
is "what came is all that the device needs for the thin image" "$(fact first-applied)" "$(fact thin-2)"
is "and for the next one" "$(fact next-applied)" "$(fact thin-3)"

# veneer-pull does what that client does
less "veneer-pull, delta against OLD, full handshake" "$(bytes veneer-first-full)" 9000
less "veneer-pull, delta against OLD, resumed" "$(bytes veneer-first-resumed)" 6500
less "veneer-pull, delta against the last release, full handshake" "$(bytes veneer-next-full)" 9000
less "veneer-pull, delta against the last release, resumed" "$(bytes veneer-next-resumed)" 6500
less "veneer-pull, no news, full handshake" "$(bytes veneer-poll-full)" 5100
less "veneer-pull, no news, resumed" "$(bytes veneer-poll-resumed)" 2500
for how in full resumed; do
    is "veneer-pull, $how: the thin image runs" "$(fact veneer-first-$how)" "$(fact thin-2)"
    is "veneer-pull, $how: the next one runs" "$(fact veneer-next-$how)" "$(fact thin-3)"
done
# it counts what the kernel says of its connections: all but the frames of Ethernet, and what closes behind its back
metered_bytes=$(bytes veneer-first-full) counted=$(fact veneer-first-full-counted)
less "veneer-pull counts what it sends and receives" 3000 "${counted:-0}"
less "that is nearly all of what is metered" $((metered_bytes - counted)) 700
less "and no more" "$counted" $((metered_bytes + 1))
