#!/usr/bin/env bash
# Twenty devices poll, update, and all have the new release; scripts/bench fleet takes a thousand.
# shellcheck disable=SC2034
without_scene=1
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"
# shellcheck source=scripts/e2e/device.sh
. "$e2e_dir/device.sh"
# shellcheck source=scripts/e2e/fleet.sh
. "$e2e_dir/fleet.sh"

device_scene
start_registry reg --scene "$world_dir/device-small"
fleet_prepare 20
wire_mark reg
fleet_run 20
is "twenty polls without news" "$fleet_failed" 0
is "are one HEAD each" "$(wire reg | awk '{ print $1 }' | sort | uniq -c | xargs)" "20 HEAD"
set_channel "$repo" thin-3
wire_mark reg
fleet_run 20 --splay 2
is "twenty updates within two seconds" "$fleet_failed" 0
is "all have the new release" "$(fleet_with "$new" 20)" 20
printf '# %s bytes of blobs\n' "$(pulled_bytes reg)"
