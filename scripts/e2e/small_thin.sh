#!/usr/bin/env bash
# Adds to the scene of small.sh what veneer makes of it: thin-2 on small-1, thin-3 after it, and the deltas between them.
# Made once beside the scene, again only when it or the program changes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/small.sh"
# shellcheck source=scripts/e2e/world.sh
. "$here/world.sh"
need_root "$@"

exec 9>"$world_dir/lock"
flock 9
hash=$(cat "$here/small_thin.sh" "$world_dir/small.manifest" "$veneer" | sha256sum | cut -c1-64)
list=$world_dir/small-thin.manifest
if [ "$(cat "$list" 2>/dev/null)" = "small-thin $hash" ]; then exit 0; fi
rm -rf "$list" "$world_dir/small-thin"
world_open
export TMPDIR=$run_dir/tmp VENEER_CACHE_DIR=$run_dir/cache LC_ALL=C
say "scene: thin images and deltas"
start_registry reg --scene "$world_dir/small" --storage "$world_dir/small-thin"
repo=$(reg reg)/tempanomaly
"$veneer" rebase "$repo:small-1" "$repo:small-2" "$repo:thin-2" >/dev/null
"$veneer" rebase "$repo:thin-2" "$repo:small-3" "$repo:thin-3" >/dev/null
"$veneer" delta push --from "$repo:small-1" "$repo:thin-2" >/dev/null
"$veneer" delta push --from "$repo:thin-2" --from "$repo:small-1" "$repo:thin-3" >/dev/null
stop_registry reg
echo "small-thin $hash" >"$list.new"
mv "$list.new" "$list"
