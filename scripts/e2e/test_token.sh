#!/usr/bin/env bash
# Token authentication: scopes, tokens that end in the middle, mounts from another repository.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry reg --tls --auth token --scene
host=$(reg reg)
ca=(--cacert "$run_dir/ca/ca.crt")
login() { printf '{"auths":{"%s":{"auth":"%s"}}}\n' "$host" "$(printf %s "$1" | base64 -w0)" >"$DOCKER_CONFIG/config.json"; }
# The token as docker-registry sees it, for looking at results.
tags() {
    curl -sk --noproxy '*' -H "Authorization: Bearer $(curl -sk --noproxy '*' -u ci:ci-secret \
        "$(cat "$run_dir/reg-token/url")?service=e2e&scope=repository:$1:pull" | jq -r .token)" \
        "https://$host/v2/$1/tags/list" | jq -r '(.tags // [])[]' | sort | paste -sd' '
}

login ci:ci-secret
repo=$host/kinds
v diff "${ca[@]}" "$repo:1" "$repo:2"
status "diff" 1
v rebase --larger "${ca[@]}" "$repo:1" "$repo:2" "$repo:thin"
status "rebase" 0
is "the tag is there" "$(tags kinds)" "1 2 thin"

wire_mark reg
v rebase --larger "${ca[@]}" "$repo:1" "$repo:2" "$host/edge/kinds:thin"
status "rebase into another repository" 0
mounts=$(wire reg | awk '$1 == "POST" && $2 ~ /mount=/ && $3 == 201 { n++ } END { print n + 0 }')
if [ "$mounts" -ge 2 ]; then ok "OLD's layers were mounted ($mounts)"; else not_ok "OLD's layers were mounted" "$(wire reg | grep -v GET)"; fi
v diff "${ca[@]}" "$host/edge/kinds:thin" "$repo:2"
status "other repository: the same as NEW" 0

login device:device-secret
v diff "${ca[@]}" "$repo:1" "$repo:2"
status "a pull-only user may diff" 1
v rebase --larger "${ca[@]}" "$repo:1" "$repo:2" "$repo:forbidden"
status "a pull-only user may not push: exit 3" 3
has "says for which repository" "$err" kinds
is "nothing was written" "$(tags kinds)" "1 2 thin"
login ci:wrong-secret
v diff "${ca[@]}" "$repo:1" "$repo:2"
status "wrong password: exit 3" 3
has "wrong password: names the source" "$err" config.json
hasnt "wrong password: not printed" <(cat "$out" "$err") wrong-secret

# A token that ends during the push: the layers alone take longer than it lives.
login ci:ci-secret
token_lifetime reg 1
issued=$(tokens_issued reg)
v copy "${ca[@]}" "$(oci tempanomaly:1)" "$host/slow/tempanomaly:1"
status "short-lived token: copy of 455 MB" 0
issued=$(($(tokens_issued reg) - issued))
if [ "$issued" -ge 2 ]; then ok "asked for $issued tokens"; else not_ok "asked for more than one token" "$issued"; fi
v rebase --larger "${ca[@]}" "$host/slow/tempanomaly:1" "$(oci tempanomaly:2)" "$host/slow/tempanomaly:thin"
status "short-lived token: rebase" 0
token_lifetime reg 300
is "short-lived token: both tags" "$(tags slow/tempanomaly)" "1 thin"
v diff "${ca[@]}" "$host/slow/tempanomaly:thin" "$(oci tempanomaly:2)"
status "short-lived token: the same as NEW" 0

# A token server that gives nothing usable must not be asked for ever.
token_lifetime reg -30
issued=$(tokens_issued reg)
rc=0
timeout 120 "$veneer" diff "${ca[@]}" "$repo:1" "$repo:2" >"$out" 2>"$err" || rc=$?
if [ "$rc" -ge 3 ] && [ "$rc" -le 5 ]; then ok "tokens that are born expired (exit $rc)"; else not_ok "tokens that are born expired" "exit $rc"; fi
less "no endless loop of tokens" $(($(tokens_issued reg) - issued)) 30
