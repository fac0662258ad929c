#!/usr/bin/env bash
# Signatures beside images in a real registry: made by veneer and checked by openssl, made by openssl as cosign writes them and
# checked by veneer; rotation, tampering, expiry, and what a device's credentials are enough for.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

start_registry reg
repo=$(reg reg)/signed/app
keys=$run_dir/keys
mkdir -p "$keys"
for name in p new stranger; do
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$keys/$name.key" 2>/dev/null
done
openssl genpkey -algorithm ED25519 -out "$keys/e.key"
for name in p new stranger e; do openssl pkey -in "$keys/$name.key" -pubout -out "$keys/$name.pub"; done

"$tree_dir/scripts/mkimage" "$run_dir/images" <<'WORDS'
image 1
layer gzip-6
file a text=one
image 2
layer gzip-6
file a text=two
image 3
layer gzip-6
file a text=three
image 4
layer gzip-6
file a text=four
image 5
layer gzip-6
file a text=five
image 3.0
layer gzip-6
file a text=six
image 3.1
layer gzip-6
file a text=seven
image a arch=amd64 untagged
layer
file a text=a
image b arch=arm64 variant=v8 untagged
layer
file a text=b
index both a b
WORDS
for n in 1 2 3 4 5 both; do v copy -q "oci:$run_dir/images:$n" "$repo:$n"; done

digest_of() { manifest_digest reg signed/app "$1"; }
sig_tag() { digest_of "$1" | sed 's/^sha256:\(.*\)$/sha256-\1.sig/'; }
# signed_layer TAG N: payload and signature of the Nth signature, from their blobs, into $run_dir/payload and signature.
signed_layer() {
    manifest reg signed/app "$(sig_tag "$1")" >"$run_dir/sig.json"
    blob reg signed/app "$(jq -r ".layers[$2].digest" "$run_dir/sig.json")" >"$run_dir/payload"
    jq -r ".layers[$2].annotations[\"dev.cosignproject.cosign/signature\"]" "$run_dir/sig.json" | base64 -d >"$run_dir/signature"
}
# openssl_says KEY: is what signed_layer or signed_bundle fetched by that key?
openssl_says() {
    case $1 in
    e) openssl pkeyutl -verify -pubin -inkey "$keys/e.pub" -rawin -in "$run_dir/payload" -sigfile "$run_dir/signature" ;;
    *) openssl dgst -sha256 -verify "$keys/$1.pub" -signature "$run_dir/signature" "$run_dir/payload" ;;
    esac
}
payload() { jq -r "$1" "$run_dir/payload"; }

# ---- the tag: two keys, one after the other
v verify --key "$keys/p.pub" "$repo:1"
status "an unsigned image is refused" 1
has "and why" "$err" "is not signed"
v sign --key "$keys/p.key" -a commit=abc --release 7 --expires 90d "$repo:1"
status "sign with P-256" 0
signed_layer 1 0
check "openssl finds the signature good" openssl_says p
is "the payload names the digest" "$(payload '.critical.image["docker-manifest-digest"]')" "$(digest_of 1)"
is "identity" "$(payload '.critical.identity["docker-reference"]')" "$repo"
is "type" "$(payload .critical.type)" "cosign container image signature"
is "annotations" "$(payload '.optional | "\(.commit) \(.["dev.veneer.release"])"')" "abc 7"
is "media types" "$(jq -r '"\(.mediaType) \(.config.mediaType) \(.layers[0].mediaType)"' "$run_dir/sig.json")" \
    "application/vnd.oci.image.manifest.v1+json application/vnd.oci.image.config.v1+json application/vnd.dev.cosign.simplesigning.v1+json"
is "inline data is the payload" "$(jq -r '.layers[0].data' "$run_dir/sig.json" | base64 -d | sha256sum)" "$(sha256sum <"$run_dir/payload")"
is "the configuration lists the payload" "$(blob reg signed/app "$(jq -r .config.digest "$run_dir/sig.json")" | jq -r '.rootfs.diff_ids[]')" \
    "sha256:$(sha256sum <"$run_dir/payload" | cut -c1-64)"

wire_mark reg
v verify --key "$keys/p.pub" --format json "$repo@$(digest_of 1)"
status "verify" 0
is "what was signed" "$(json '.signatures[0] | "\(.good) \(.form) \(.algorithm) \(.release) \(.annotations.commit)"')" \
    "true tag ecdsa-p256-sha256 7 abc"
is "no blob is fetched" "$(blob_gets reg)" 0
before=$(digest_of "$(sig_tag 1)")
v sign --key "$keys/p.key" -a commit=abc --release 7 --expires "$(payload '.optional["dev.veneer.expires"]')" "$repo:1"
status "the same again" 0
is "changes nothing" "$(digest_of "$(sig_tag 1)")" "$before"

v sign --key "$keys/e.key" "$repo:1"
status "sign with Ed25519 as well" 0
is "both signatures are there" "$(manifest reg signed/app "$(sig_tag 1)" | jq '.layers | length')" 2
signed_layer 1 0
check "the first is as it was" openssl_says p
signed_layer 1 1
check "openssl finds the second good" openssl_says e
for name in p e; do
    v verify --key "$keys/$name.pub" "$repo:1"
    status "verify by $name alone" 0
done
v verify --key "$keys/stranger.pub" "$repo:1"
status "another key is refused" 1
has "and why" "$err" "by none of the keys given"
v verify --key "$keys/stranger.pub" --key "$keys/e.pub" "$repo:1"
status "any of several keys is enough" 0

# ---- the bundle
# signed_bundle TAG: what the first bundle among the referrers signs (DSSE's encoding), and its signature.
signed_bundle() {
    local digest
    digest=$(manifest reg signed/app "$(digest_of "$1" | tr : -)" | jq -r '.manifests[0].digest')
    manifest reg signed/app "$digest" >"$run_dir/sig.json"
    blob reg signed/app "$(jq -r '.layers[0].digest' "$run_dir/sig.json")" >"$run_dir/bundle"
    jq -r .dsseEnvelope.payload "$run_dir/bundle" | base64 -d >"$run_dir/statement"
    jq -r '.dsseEnvelope.signatures[0].sig' "$run_dir/bundle" | base64 -d >"$run_dir/signature"
    printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$(wc -c <"$run_dir/statement")" | cat - "$run_dir/statement" >"$run_dir/payload"
}
for name in p e; do
    [ $name = p ] && tag=2 || tag=both
    v sign --bundle --key "$keys/$name.key" -a commit=def --release 8 "$repo:$tag"
    status "a bundle by $name" 0
    signed_bundle "$tag"
    check "openssl finds it good" openssl_says "$name"
    is "artifact type, content, predicate" \
        "$(jq -r '"\(.artifactType) \(.annotations["dev.sigstore.bundle.content"]) \(.annotations["dev.sigstore.bundle.predicateType"])"' "$run_dir/sig.json")" \
        "application/vnd.dev.sigstore.bundle.v0.3+json dsse-envelope https://sigstore.dev/cosign/sign/v1"
    is "it refers to the image" "$(jq -r .subject.digest "$run_dir/sig.json")" "$(digest_of "$tag")"
    is "hint is the key's digest" "$(jq -r .verificationMaterial.publicKey.hint "$run_dir/bundle" | base64 -d | od -An -tx1 | tr -d ' \n')" \
        "$(openssl pkey -in "$keys/$name.key" -pubout -outform DER | sha256sum | cut -c1-64)"
    is "the statement" "$(jq -r '"\(._type) \(.predicateType) \(.subject[0].digest.sha256) \(.subject[0].annotations.commit)"' "$run_dir/statement")" \
        "https://in-toto.io/Statement/v1 https://sigstore.dev/cosign/sign/v1 $(digest_of "$tag" | cut -c8-) def"
    v verify --key "$keys/$name.pub" --format json "$repo:$tag"
    status "verify it" 0
    is "as a bundle" "$(json '.signatures[] | "\(.good) \(.form) \(.release)"')" "true bundle 8"
    v verify --key "$keys/stranger.pub" "$repo:$tag"
    status "another key is refused" 1
done

# ---- as cosign writes them
cosign() {
    local form=$1 signer=$2 tag=$3
    shift 3
    check "signed by other tools: $form, $signer" \
        python3 "$e2e_dir/cosign.py" "$form" "$keys/$signer.key" "$(reg_url reg)" signed/app "$(digest_of "$tag")" "$@"
}
cosign tag p 3 env=prod 'who=<ci & co>' dev.veneer.release=3
v verify --key "$keys/p.pub" --format json "$repo:3"
status "verifies" 0
is "with its annotations" "$(json '.signatures[0] | "\(.release) \(.annotations.env) \(.annotations.who)"')" "3 prod <ci & co>"
cosign tag e 3
v verify --key "$keys/e.pub" "$repo:3"
status "verifies" 0
v sign --key "$keys/new.key" "$repo:3"
status "a key is added to what others signed" 0
for name in p e new; do
    v verify --key "$keys/$name.pub" "$repo:3"
    status "all of them are good: $name" 0
done
for name in p e; do
    cosign bundle "$name" 4 env=prod dev.veneer.release=4
    v verify --key "$keys/$name.pub" --format json "$repo:4"
    status "verifies" 0
    is "with its annotations" "$(json '.signatures[] | select(.good) | "\(.form) \(.release) \(.annotations.env)"')" "bundle 4 prod"
done
for like in 3.0 3.1; do
    v copy -q "oci:$run_dir/images:$like" "$repo:$like"
    cosign bundle-$like p $like dev.veneer.release=4
    v verify --key "$keys/p.pub" --format json "$repo:$like"
    status "a bundle as cosign $like lists it" 0
    is "with its annotations, where it has them" "$(json '.signatures[] | "\(.good) \(.release)"')" "true $([ $like = 3.0 ] && echo null || echo 4)"
    v copy -q "$repo:$like" "oci:$run_dir/usb:$like"
    v copy -q "$repo:$(digest_of $like | tr : -)" "oci:$run_dir/usb:$(digest_of $like | tr : -)"
    v verify --key "$keys/p.pub" "oci:$run_dir/usb:$like"
    status "and in a layout" 0
done
# what an index of that time says of an artifact of another kind is the same
v copy -q "oci:$run_dir/images:5" "$repo:sbom"
cosign bundle-3.0 p sbom
index=$(digest_of sbom | tr : -)
manifest reg signed/app "$(manifest reg signed/app "$index" | jq -r '.manifests[0].digest')" |
    jq -c '.layers[0].mediaType = "text/spdx" | .artifactType = "text/spdx"' >"$run_dir/sbom.json"
put_manifest() {
    curl -sf --noproxy '*' -X PUT -H "Content-Type: application/vnd.oci.image.$1.v1+json" --data-binary "@$2" \
        "$(reg_url reg)/v2/signed/app/manifests/$3" >/dev/null
}
sbom=sha256:$(sha256sum <"$run_dir/sbom.json" | cut -c1-64)
put_manifest manifest "$run_dir/sbom.json" "$sbom"
manifest reg signed/app "$index" | jq -c --arg d "$sbom" --argjson n "$(wc -c <"$run_dir/sbom.json")" \
    '.manifests[0].digest = $d | .manifests[0].size = $n' >"$run_dir/index.json"
put_manifest index "$run_dir/index.json" "$index"
v verify --key "$keys/p.pub" "$repo:sbom"
status "what is no bundle is none" 1
has "and nothing is said of it" "$err" "is not signed"
v sign --bundle --key "$keys/new.key" "$repo:4"
status "a bundle is added" 0
v verify --key "$keys/new.pub" --format json "$repo:4"
is "beside the others" "$(json '.signatures | map(.good) | tostring')" "[false,false,true]"

# ---- along with the image, into a layout without any network
v copy -q "$repo:3" "oci:$run_dir/usb:3"
v copy -q "$repo:$(sig_tag 3)" "oci:$run_dir/usb:$(sig_tag 3)"
status "signatures are copied" 0
v verify --key "$keys/p.pub" "oci:$run_dir/usb:3"
status "and verify in a layout" 0
v copy -q "$repo:4" "oci:$run_dir/usb:4"
v copy -q "$repo:$(digest_of 4 | tr : -)" "oci:$run_dir/usb:$(digest_of 4 | tr : -)"
status "bundles are copied" 0
v verify --key "$keys/p.pub" "oci:$run_dir/usb:4"
status "and verify in a layout" 0

# ---- what does not count
cosign tag p 5
manifest reg signed/app "$(sig_tag 5)" >"$run_dir/sig.json"
# put_sig TAG: $run_dir/sig.json under the signatures' tag of TAG.
put_sig() {
    curl -sf --noproxy '*' -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$run_dir/sig.json" \
        "$(reg_url reg)/v2/signed/app/manifests/$(sig_tag "$1")" >/dev/null
}
put_sig 2
v verify --key "$keys/stranger.pub" --key "$keys/p.pub" --format json "$repo:2"
is "a signature of another image is told from the bundle that is good" \
    "$(json '.signatures | map("\(.form) \(.good)") | join(", ")')" "tag false, bundle true"
put_sig 1
v verify --key "$keys/p.pub" "$repo:1"
status "a signature moved here from another image" 1
has "and why" "$err" "it signs another image"
jq -c '.layers[0].annotations["dev.cosignproject.cosign/signature"] |= (.[0:20] + "AAAA" + .[24:])' "$run_dir/sig.json" >"$run_dir/bad.json"
mv "$run_dir/bad.json" "$run_dir/sig.json"
put_sig 5
v verify --key "$keys/p.pub" "$repo:5"
status "a signature with other bytes" 1
v sign --key "$keys/p.key" --release 1 --expires 2020-01-01T00:00:00Z "$repo:5"
status "signed with an expiry in the past" 0
has "which is warned of" "$err" "expires in the past"
v verify --key "$keys/p.pub" "$repo:5"
status "an expired signature" 1
has "and since when" "$err" "it expired at 2020-01-01T00:00:00Z"
v sign --key "$keys/p.key" --release 1 --expires 1d "$repo:5"
v verify --key "$keys/p.pub" --format json "$repo:5"
status "signed anew it is good" 0
is "the expired one stays" "$(json '.signatures | map(.good) | tostring')" "[false,false,true]"

# ---- what a device's credentials are enough for
start_registry pull --tls --auth token
export SSL_CERT_FILE=$run_dir/ca/ca.crt
login_as() { printf '{"auths":{"%s":{"auth":"%s"}}}\n' "$(reg pull)" "$(printf %s "$1" | base64 -w0)" >"$DOCKER_CONFIG/config.json"; }
login_as ci:ci-secret
v copy -q "oci:$run_dir/images:1" "$(reg pull)/app:1"
v sign --key "$keys/p.key" "$(reg pull)/app:1"
status "sign where a token is asked for" 0
login_as device:device-secret
v verify --key "$keys/p.pub" "$(reg pull)/app:1"
status "verify with the right to pull alone" 0
v sign --key "$keys/e.key" "$(reg pull)/app:1"
status "which is not enough to sign" 3
