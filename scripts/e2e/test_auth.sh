#!/usr/bin/env bash
# Basic authentication: every place credentials come from, and what is said when they are wrong.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry reg --tls --auth basic --scene
host=$(reg reg)
repo=$host/kinds
ca=(--cacert "$run_dir/ca/ca.crt")
authfile=$run_dir/auth.json
auth_json() { printf '{"auths":{"%s":{"auth":"%s"}}}\n' "$host" "$(printf %s "$1" | base64 -w0)"; }

refused() {
    if [ "$rc" = 3 ]; then ok "$1: exit 3"; else not_ok "$1: exit 3" "exit $rc" "$(what_it_said)"; fi
    has "$1: names the registry" "$err" "$host"
    has "$1: names the source" "$err" "$2"
    hasnt "$1: does not print the password" <(cat "$out" "$err") "wrong-secret"
}

v diff "${ca[@]}" "$repo:1" "$repo:2"
status "no credentials: exit 3" 3
has "no credentials: says how to log in" "$err" "veneer login"

auth_json ci:ci-secret >"$authfile"
v diff "${ca[@]}" --authfile "$authfile" "$repo:1" "$repo:2"
status "--authfile" 1
v rebase --larger "${ca[@]}" --authfile "$authfile" "$repo:1" "$repo:2" "$repo:thin"
status "--authfile: rebase" 0
rc=0
REGISTRY_AUTH_FILE=$authfile "$veneer" diff "${ca[@]}" "$repo:thin" "$repo:2" >"$out" 2>"$err" || rc=$?
status "REGISTRY_AUTH_FILE" 0

auth_json ci:wrong-secret >"$authfile"
v diff "${ca[@]}" --authfile "$authfile" "$repo:1" "$repo:2"
refused "wrong password in --authfile" "$authfile"

auth_json ci:wrong-secret >"$DOCKER_CONFIG/config.json"
v diff "${ca[@]}" "$repo:1" "$repo:2"
refused "wrong password in Docker's config.json" config.json
auth_json ci:ci-secret >"$DOCKER_CONFIG/config.json"
v diff "${ca[@]}" "$repo:1" "$repo:2"
status "Docker's config.json" 1
mkdir -p "$XDG_RUNTIME_DIR/containers"
auth_json ci:ci-secret >"$XDG_RUNTIME_DIR/containers/auth.json"
rm "$DOCKER_CONFIG/config.json"
v diff "${ca[@]}" "$repo:1" "$repo:2"
status "containers auth.json" 1
rm "$XDG_RUNTIME_DIR/containers/auth.json"

# Credential helpers
mkdir -p "$run_dir/bin"
cat >"$run_dir/bin/docker-credential-e2e" <<'HELPER'
#!/bin/sh
[ "$1" = get ] || exit 1
read -r server || :
printf '{"ServerURL":"%s","Username":"ci","Secret":"%s"}\n' "$server" "$(cat "${0%/*}/secret")"
HELPER
chmod +x "$run_dir/bin/docker-credential-e2e"
printf ci-secret >"$run_dir/bin/secret"
export PATH=$run_dir/bin:$PATH
printf '{"credHelpers":{"%s":"e2e"}}\n' "$host" >"$DOCKER_CONFIG/config.json"
v diff "${ca[@]}" "$repo:1" "$repo:2"
status "credHelpers" 1
printf wrong-secret >"$run_dir/bin/secret"
v diff "${ca[@]}" "$repo:1" "$repo:2"
refused "wrong password from a helper" e2e
printf '{"credsStore":"not-there"}\n' >"$DOCKER_CONFIG/config.json"
v diff "${ca[@]}" "$repo:1" "$repo:2"
status "missing helper: exit 3 from the registry" 3
has "missing helper: named" "$err" not-there
rm "$DOCKER_CONFIG/config.json"

# login and logout
rc=0
printf ci-secret | "$veneer" login "${ca[@]}" -u ci --password-stdin "$host" >"$out" 2>"$err" || rc=$?
status "login" 0
hasnt "login does not print the password" <(cat "$out" "$err") ci-secret
v diff "${ca[@]}" "$repo:1" "$repo:2"
status "after login" 1
saved=$(grep -rl "$host" "$HOME" "$XDG_RUNTIME_DIR" 2>/dev/null | grep json | head -n 1 || true)
is "saved readable for the owner only" "$(stat -c %a "${saved:-/nonexistent}" 2>&1)" 600
check "skopeo understands what login saved" skopeo --insecure-policy inspect --authfile "$saved" --tls-verify=false "docker://$repo:1"
v logout "$host"
status "logout" 0
v diff "${ca[@]}" "$repo:1" "$repo:2"
status "after logout" 3
rc=0
printf wrong-secret | "$veneer" login "${ca[@]}" -u ci --password-stdin "$host" >"$out" 2>"$err" || rc=$?
status "login with a wrong password" 3
check "a wrong login is not saved" test -z "$(grep -rl "$host" "$HOME" 2>/dev/null | grep json)"
printf '{"auths":{"other.example":{"auth":"eDp5"}},"HttpHeaders":{"X-Kept":"1"}}\n' >"$DOCKER_CONFIG/config.json"
rc=0
printf ci-secret | "$veneer" login "${ca[@]}" --authfile "$DOCKER_CONFIG/config.json" -u ci --password-stdin "$host" >"$out" 2>"$err" || rc=$?
status "login into an existing file" 0
has "unknown fields stay" "$DOCKER_CONFIG/config.json" X-Kept
has "other registries stay" "$DOCKER_CONFIG/config.json" other.example
