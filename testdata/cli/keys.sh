# shellcheck shell=sh
# Sourced by the cases of sign and verify.

# make_keys: p.key, p.pub: ECDSA on P-256; e.key, e.pub: Ed25519; s.key, s.pub: a stranger's.
make_keys() {
    for name in p s; do
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $name.key 2>/dev/null
    done
    openssl genpkey -algorithm ED25519 -out e.key
    for name in p e s; do openssl pkey -in $name.key -pubout -out $name.pub; done
}

# sig_of LAYOUT TAG: the manifest of the signatures of an image.
sig_of() {
    cat "$1/blobs/sha256/$(mkimage --digest "$1" "$(mkimage --digest "$1" "$2" | sed 's/^sha256:\(.*\)$/sha256-\1.sig/')" | cut -c8-)"
}

# payload_of LAYOUT TAG N: payload and signature of the Nth signature into ./payload and ./signature.
payload_of() {
    sig_of "$1" "$2" >sig.json
    python3 - "$1" "$3" <<'END'
import base64, json, sys
layer = json.load(open("sig.json"))["layers"][int(sys.argv[2])]
open("signature", "wb").write(base64.b64decode(layer["annotations"]["dev.cosignproject.cosign/signature"]))
data = open(f"{sys.argv[1]}/blobs/sha256/{layer['digest'][7:]}", "rb").read()
assert base64.b64decode(layer["data"]) == data
open("payload", "wb").write(data)
END
}
