#!/usr/bin/env bash
# TLS with a certificate authority of our own; names and sources of trust.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry tls --tls --scene
repo=$(reg tls)/kinds
ca=$run_dir/ca/ca.crt

v diff --cacert "$ca" "$repo:1" "$repo:2"
status "--cacert: diff" 1
v rebase --larger --cacert "$ca" "$repo:1" "$repo:2" "$repo:thin"
status "--cacert: rebase" 0
v diff --cacert "$ca" "$repo:thin" "$repo:2"
status "--cacert: diff DEST NEW is the same" 0
v diff --cacert "$ca" "localhost:${registry_port[tls]}/kinds:1" "localhost:${registry_port[tls]}/kinds:2"
status "--cacert: by host name" 1

refused() {
    if [ "$rc" -ge 3 ]; then ok "$1 (exit $rc)"; else not_ok "$1" "exit $rc" "$(what_it_said)"; fi
    if grep -qiE 'certificate|TLS|SSL' "$err"; then ok "$1: says why"; else not_ok "$1: says why" "$(cat "$err")"; fi
}
rm -rf "$VENEER_CACHE_DIR"
v diff "$repo:1" "$repo:2"
refused "unknown authority"
make_ca "$run_dir/stranger"
v diff --cacert "$run_dir/stranger/ca.crt" "$repo:1" "$repo:2"
refused "wrong authority"
v diff --cacert "$run_dir/no-such.crt" "$repo:1" "$repo:2"
if [ "$rc" -ge 2 ]; then ok "missing file (exit $rc)"; else not_ok "missing file" "exit $rc"; fi
has "missing file: named" "$err" no-such.crt

rc=0
SSL_CERT_FILE=$ca "$veneer" diff "$repo:1" "$repo:2" >"$out" 2>"$err" || rc=$?
status "SSL_CERT_FILE" 1
dir=$XDG_CONFIG_HOME/containers/certs.d/$(reg tls)
mkdir -p "$dir"
cp "$ca" "$dir/ca.crt"
v diff "$repo:1" "$repo:2"
status "certs.d" 1

start_registry plain --scene
v diff --cacert "$ca" "$(reg plain)/kinds:1" "$repo:2"
status "plain and TLS side by side" 1
v diff --plain-http "$(reg plain)/kinds:1" "$(reg plain)/kinds:2"
status "--plain-http" 1
