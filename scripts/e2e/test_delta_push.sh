#!/usr/bin/env bash
# Deltas beside the image in its registry (TLS and a password): tag, referrers, inline data, and what is not published.
# shellcheck source=scripts/e2e/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

"$e2e_dir/small.sh"
start_registry reg --tls --auth basic --scene "$world_dir/small"
repo=$(reg reg)/tempanomaly
export SSL_CERT_FILE=$run_dir/ca/ca.crt
printf '{"auths":{"%s":{"auth":"%s"}}}\n' "$(reg reg)" "$(printf ci:ci-secret | base64 -w0)" >"$DOCKER_CONFIG/config.json"
artifact=application/vnd.io.github.containers.oci-delta.v1
source_of=io.github.containers.delta.source

# delta_tag REPO OLD NEW: the tag that follows from the digests of two tags.
delta_tag() {
    printf 'delta-%.32s' "$(printf '%s\n%s' "$(manifest_digest reg "$1" "$2")" "$(manifest_digest reg "$1" "$3")" | sha256sum)"
}
# referrers REPO DIGEST: what the fallback tag lists, as lines "SOURCE DIGEST" of deltas.
referrers() {
    manifest reg "$1" "sha256-${2#sha256:}" | jq -r --arg a $artifact --arg s $source_of \
        '.manifests[] | select(.artifactType == $a) | "\(.annotations[$s]) \(.digest)"' | sort
}

v rebase --format json "$repo:small-1" "$repo:small-2" "$repo:thin-2"
status "rebase" 0
v rebase --format json "$repo:thin-2" "$repo:small-3" "$repo:thin-3"
status "rebase of the next one" 0
thin2=$(manifest_digest reg tempanomaly thin-2)
thin3=$(manifest_digest reg tempanomaly thin-3)
old=$(manifest_digest reg tempanomaly small-1)

v delta push --format json --from "$repo:thin-2" "$repo:thin-3"
status "push from one release" 0
is "schema and verb" "$(json '"\(.schema) \(.verb)"')" "veneer.delta/1 push"
is "it is written" "$(json '.deltas | map(.written) | tostring')" "[true]"
tag=$(delta_tag tempanomaly thin-2 thin-3)
digest=$(json '.deltas[0].digest')
is "the tag follows from both digests" "$(manifest_digest reg tempanomaly "$tag")" "$digest"
is "the reference names tag and digest" "$(json '.deltas[0].reference')" "$repo:$tag@$digest"
is "the registry lists no referrers itself" "$(json .referrers)" false

manifest reg tempanomaly "$tag" >"$run_dir/delta.json"
of() { jq -r "$1" "$run_dir/delta.json"; }
is "artifact type" "$(of .artifactType)" $artifact
is "subject is the image" "$(of .subject.digest)" "$thin3"
is "annotation: source" "$(of ".annotations[\"$source_of\"]")" "$thin2"
is "size is what a GET of the manifest brings" "$(json '.deltas[0] | "\(.size) \(.inline)"')" "$(wc -c <"$run_dir/delta.json") true"
count=0
while read -r wanted data; do
    count=$((count + 1))
    printf %s "$data" | base64 -d >"$run_dir/data"
    is "inline data $count" "sha256:$(sha256sum <"$run_dir/data" | cut -c1-64)" "$wanted"
    curl -sfk -u ci:ci-secret "$(reg_url reg)/v2/tempanomaly/blobs/$wanted" >"$run_dir/blob" || true
    check "and the same blob beside it" cmp "$run_dir/data" "$run_dir/blob"
done < <(of '.config, .layers[] | "\(.digest) \(.data)"')
is "the fallback tag lists it" "$(referrers tempanomaly "$thin3")" "$thin2 $digest"
is "the fallback tag is an index" "$(manifest reg tempanomaly "sha256-${thin3#sha256:}" | jq -r .mediaType)" \
    application/vnd.oci.image.index.v1+json

v delta push --format json --from "$repo:thin-2" --from "$repo:small-1" "$repo:thin-3"
status "push from two releases" 0
is "both are written" "$(json '.deltas | map(.written) | tostring')" "[true,true]"
is "the fallback tag lists both" "$(referrers tempanomaly "$thin3" | cut -d' ' -f1)" "$(printf '%s\n' "$thin2" "$old" | sort)"
before=$(manifest_digest reg tempanomaly "sha256-${thin3#sha256:}")
wire_mark reg
v delta push --format json --from "$repo:thin-2" --from "$repo:small-1" "$repo:thin-3"
status "the same push again" 0
is "uploads nothing" "$(json .uploaded_bytes) $(wire reg | grep -c '/blobs/uploads/' || true)" "0 0"
is "the list stays" "$(manifest_digest reg tempanomaly "sha256-${thin3#sha256:}")" "$before"
is "the same artifact" "$(manifest_digest reg tempanomaly "$tag")" "$digest"

skopeo --insecure-policy inspect --raw --tls-verify=false "docker://$repo:$tag" >"$run_dir/raw" 2>"$err" || true
check "skopeo reads the artifact" cmp "$run_dir/raw" "$run_dir/delta.json"
v delta show --format json "$repo:thin-3"
status "show lists the deltas of an image" 0
is "both of them" "$(json '.deltas[].old.digest' | sort)" "$(printf '%s\n' "$thin2" "$old" | sort)"
v delta show "$repo:$tag"
status "show of one delta" 0
v delta apply --format json -o "$(reg reg)/rebuilt:new" "$repo:thin-2" "$repo:$tag"
status "apply" 0
is "what it makes is the image, digest for digest" "$(json .exact) $(manifest_digest reg rebuilt new)" "true $thin3"
v delta apply -o "$(reg reg)/rebuilt:wrong" "$repo:small-1" "$repo:$tag"
status "apply to another image" 4
is "leaves nothing" "$(manifest_digest reg rebuilt wrong)" ""

v delta push --format json --to "$(reg reg)/deltas/thin" --from "$repo:thin-2" "$repo:thin-3"
status "--to another repository" 0
is "the tag is there" "$(manifest_digest reg deltas/thin "$tag")" "$digest"
is "and its list" "$(referrers deltas/thin "$thin3")" "$thin2 $digest"

v delta make -o "$run_dir/update.oci" "$repo:thin-2" "$repo:thin-3"
status "make into an archive" 0
v delta push --format json --delta "$run_dir/update.oci" "$(reg reg)/made"
status "push what was made" 0
is "the same artifact under the same tag" "$(manifest_digest reg made "$tag")" "$digest"
v delta make -o "oci:$run_dir/layout:delta" "$repo:thin-2" "$repo:thin-3"
status "make into a layout" 0
v copy "oci:$run_dir/layout:delta" "$(reg reg)/copied:delta"
status "copy of the layout" 0
is "copied as it is" "$(manifest_digest reg copied delta)" "$digest"
is "and listed" "$(referrers copied "$thin3")" "$thin2 $digest"

# Noise against noise: the delta is the layer and a little more.
"$tree_dir/scripts/mkimage" "$run_dir/noise" <<'WORDS'
image 1
layer gzip-6
file a noise=1:20k
image 2
layer gzip-6
file a noise=2:20k
WORDS
for n in 1 2; do v copy "oci:$run_dir/noise:$n" "$(reg reg)/noise:$n"; done
wire_mark reg
v delta push --format json --from "$(reg reg)/noise:1" "$(reg reg)/noise:2"
printf '# larger than the image itself: exit %s, %s\n' "$rc" "$(json .sentence)"
is "a delta that saves nothing is not written, and why is said" \
    "$(json '.deltas[0] | "\(.written) \(.reason)"')" "false it saves nothing"
is "nothing reaches the registry" "$(writes reg)" 0
is "no tag" "$(manifest_digest reg noise "$(delta_tag noise 1 2)")" ""

printf '{"auths":{"%s":{"auth":"%s"}}}\n' "$(reg reg)" "$(printf ci:wrong | base64 -w0)" >"$DOCKER_CONFIG/config.json"
v delta push --from "oci:$run_dir/noise:1" "$(reg reg)/noise:2"
status "wrong password" 3
