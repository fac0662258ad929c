#!/usr/bin/env bash
# A dependency really changed: paths mode refuses and names it, content mode ships just that.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry reg --scene
repo=$(reg reg)/tempanomaly

v diff --format json "$repo:1" "$repo:dep-added"
status "package added: exit 1" 1
is "package added: named" "$(diff_packages | cut -d' ' -f1,2 | grep -c '^python3-yaml -$')" 1
if [ "$(diff_paths dependency | grep -c python3/dist-packages/yaml)" -gt 0 ]; then
    ok "package added: its files are dependency files"
else
    not_ok "package added: its files are dependency files" "$(diff_paths dependency | head -n 5)"
fi
is "package added: nothing in other" "$(diff_paths other)" ""
diff_paths noise >"$run_dir/noise"

wire_mark reg
v rebase --mode paths "$repo:1" "$repo:dep-added" "$repo:thin-added"
status "paths mode refuses" 1
cat "$out" "$err" >"$run_dir/both"
has "paths mode names the package" "$run_dir/both" python3-yaml
is "paths mode writes nothing" "$(writes reg)" 0

v rebase --mode paths --accept dependency --format json "$repo:1" "$repo:dep-added" "$repo:accepted"
status "--accept dependency" 0
manifest reg tempanomaly accepted >"$run_dir/accepted.json"
blob reg tempanomaly "$(jq -r .config.digest "$run_dir/accepted.json")" >"$run_dir/accepted-config.json"
cat "$run_dir/accepted.json" "$run_dir/accepted-config.json" >"$run_dir/both"
has "what was accepted is recorded" "$run_dir/both" accept

v rebase --format json "$repo:1" "$repo:dep-added" "$repo:thin-added"
status "content mode" 0
is "content mode: nothing different" "$(rebase_different)" 0
printf '# python3-yaml and the model: %s bytes in %s layer(s)\n' "$(rebase_layer_bytes)" "$(rebase_layers)"
less "content mode ships just that" "$(rebase_layer_bytes)" 4000000

device_with_old
wire_mark reg
check "docker pull" on device pull -q "$repo:thin-added"
less "bytes pulled" "$(pulled_bytes reg)" 4000000
check "the package is importable" on device run --rm --network=none "$repo:thin-added" python3 -c 'import yaml; yaml.safe_load("a: 1")'
check "the package is installed" on device run --rm --network=none "$repo:thin-added" dpkg -s python3-yaml
if on device run --rm --network=none device-old:1 python3 -c 'import yaml' 2>/dev/null; then
    not_ok "OLD does not have it"
else
    ok "OLD does not have it"
fi
is "answers exactly as NEW" "$(answers_of device "$repo:thin-added")" "$(scene_answers tempanomaly-dep-added)"
same_tree "the tree is NEW's but for the named noise" device "$repo:thin-added" tempanomaly-dep-added "$run_dir/noise"
v diff "$repo:thin-added" "$repo:dep-added"
status "diff DEST NEW is the same" 0

# A device with the package moving to NEW without it.
v diff --format json "$repo:dep-added" "$repo:2"
is "package removed: named" "$(diff_packages | grep -c '^python3-yaml .* -$')" 1

v diff --format json "$repo:dep-old" "$repo:dep-version"
is "version changed: named with both" "$(diff_packages)" "iot-driver 1.0 2.0"
diff_paths noise >"$run_dir/noise"
v rebase --mode paths "$repo:dep-old" "$repo:dep-version" "$repo:thin-version"
status "version changed: paths mode refuses" 1
cat "$out" "$err" >"$run_dir/both"
has "version changed: names the package" "$run_dir/both" iot-driver
v rebase --larger --format json "$repo:dep-old" "$repo:dep-version" "$repo:thin-version"
status "version changed: content mode" 0
check "version changed: docker pull" on device pull -q "$repo:thin-version"
is "version changed: the new one runs" "$(on device run --rm --network=none "$repo:thin-version" iot-driver)" "iot-driver 2.0"
same_tree "version changed: the tree is NEW's" device "$repo:thin-version" tempanomaly-dep-version "$run_dir/noise"
v diff "$repo:thin-version" "$repo:dep-version"
status "version changed: diff DEST NEW is the same" 0
