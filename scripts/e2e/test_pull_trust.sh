#!/usr/bin/env bash
# Whom a device believes: unsigned, wrongly signed, rotated keys, release counters that go down, signatures that have expired, a clock
# in 1970; and what a delta that lies, a registry that lies and a stranger's file come to.
# shellcheck source=scripts/e2e/tiny.sh
. "$(dirname "${BASH_SOURCE[0]}")/tiny.sh"
for key in a b stranger; do
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$run_dir/$key.key" 2>/dev/null
    openssl pkey -in "$run_dir/$key.key" -pubout -out "$run_dir/$key.pub" 2>/dev/null
done
new_key ed

believes '{}' a
set_channel device/tiny 1
p once
status "unsigned" 1
has "is refused in words" "$err" "signature"
is "no blob was fetched" "$(pulled_bytes reg)" 0
sign stranger 1
p once
status "signed by a stranger" 1
sign a 1 --release 5
p once
status "signed" 0
is "runs" "$(runs)" "$one"
is "its counter is known" "$(p status && jq '.releases[0].counter' "$out")" 5

set_channel device/tiny thin-2
sign a thin-2 --release 4
wire_mark reg
p once
status "a lower counter" 1
has "says both" "$err" "release 4"
is "no blob was fetched for it" "$(pulled_bytes reg)" 0
p once --allow-downgrade
status "a lower counter, ordered" 0
is "runs by a delta" "$(runs) $(p status && jq -r '.releases[0].how' "$out")" "$two delta"
set_channel device/tiny 1
p once
status "and up again" 0

# rotation: both keys for a while, then the new one
believes '{}' a ed
set_channel device/tiny thin-3
sign ed thin-3 --release 6 --expires 30d
p once
status "the new key of two" 0
is "runs the third" "$(runs)" "$three"
believes '{}' ed
set_channel device/tiny thin-2
sign ed thin-2 --release 7 --expires 2020-01-01T00:00:00Z
p once
status "a signature that has expired" 1
has "says until when it was good" "$err" "2020-01-01"
is "the third still runs" "$(runs)" "$three"
sign ed thin-2 --release 8 --bundle --expires 30d
p once
status "a bundle" 0
is "runs" "$(runs)" "$two"
"$veneer" copy -q "$app:1" "$app:bare" >/dev/null
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}' >"$run_dir/index"
curl -sf --noproxy '*' -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary "@$run_dir/index" \
    "$(reg_url reg)/v2/device/tiny/manifests/prod"
p once
status "an unsigned index in its place" 1
is "changes nothing" "$(runs)" "$two"

# deltas may lie: bytes are lost, correctness never
liar=$(reg reg)/device/app
for n in 2 3; do sign_app=$liar:thin-$n && "$veneer" sign -q --key "$run_dir/ed.key" --release 1$n "$sign_app" >/dev/null; done
device_is oci "$run_dir/second" device/app
mkdir -p "$device/state" "$device/root"
believes '{}' ed
set_channel device/app thin-2
p once
status "another device" 0
set_channel device/app thin-3
three=$(manifest_digest reg device/app thin-3)
tag=delta-$(printf '%s\n%s' "$(manifest_digest reg device/app thin-2)" "$three" | sha256sum | cut -c1-32)
digest=$(manifest reg device/app "$tag" | jq -r '.layers[0].digest')
file=$(find "$run_dir/reg/data/docker/registry/v2/blobs" -path "*/${digest#sha256:}/data")
# the scene's blobs are linked
cp "$file" "$file.new"
printf 'liar' | dd of="$file.new" bs=1 seek=300000 conv=notrunc 2>/dev/null
mv "$file.new" "$file"
p once
status "a delta with other bytes" 0
is "the image came all the same" "$(runs)" "$three"
is "in full" "$(p status && jq -r '.releases[0].how' "$out")" full
p verify
status "and is whole" 0

# secrets
hasnt "no key is in the state folder" <(cat "$device/state"/*.json) "PRIVATE"

# a stick of a stranger
believes '{}' a
"$veneer" copy -q "$app:thin-2" "oci:$run_dir/usb:prod" >/dev/null
p import "$run_dir/usb"
status "an unsigned stick" 1
is "what ran runs" "$(runs)" "$three"
