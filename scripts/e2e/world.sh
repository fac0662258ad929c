# shellcheck shell=bash
# Sourced by the tests and by scripts/bench: real registries, token servers and engines on loopback.
# Whatever a script starts here it ends again, through pid files under $run_dir.

e2e_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree_dir=$(cd "$e2e_dir/../.." && pwd)
world_dir=${VENEER_WORLD:-/var/tmp/veneer-world}
# shellcheck disable=SC2034
veneer=${VENEER:-$tree_dir/build/veneer}
# shellcheck disable=SC2034
veneer_pull=${VENEER_PULL:-$(dirname "$veneer")/veneer-pull}
run_dir=
declare -A registry_port=() registry_scheme=() registry_host=()

export DOCKER_BUILDKIT=0 DOCKER_CLI_HINTS=false
# The caller's proxies and credentials are not for loopback servers.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
unset REGISTRY_AUTH_FILE DOCKER_AUTH_CONFIG DOCKER_HOST

say() { printf '%s\n' "$*" >&2; }

die() {
    say "e2e: $*"
    exit 1
}

need_root() {
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo >/dev/null || die "needs root: image layers carry owners, devices and capabilities"
    exec sudo -E VENEER_WORLD="${VENEER_WORLD:-}" VENEER="${VENEER:-}" VENEER_PULL="${VENEER_PULL:-}" "$0" "$@"
}

world_open() {
    mkdir -p "$world_dir"
    run_dir=$(mktemp -d "$world_dir/run.XXXXXX")
    mkdir -p "$run_dir/home" "$run_dir/tmp"
    export HOME=$run_dir/home XDG_CACHE_HOME=$run_dir/home/.cache
    export XDG_CONFIG_HOME=$run_dir/home/.config XDG_RUNTIME_DIR=$run_dir/home/run
    export DOCKER_CONFIG=$run_dir/home/.docker
    mkdir -p "$XDG_RUNTIME_DIR" "$DOCKER_CONFIG"
    trap world_close EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

world_close() {
    local status=${1:-$?} pidfile
    trap - EXIT
    [ -n "$run_dir" ] || return "$status"
    for pidfile in "$run_dir"/*/pid; do
        [ -e "$pidfile" ] || continue
        stop_pidfile "$pidfile"
    done
    if [ -n "${VENEER_KEEP:-}" ]; then
        say "kept $run_dir"
    else
        drop_mounts "$run_dir"
        rm -rf "$run_dir"
    fi
    exit "$status"
}

# own_boots PROGRAM [ARGUMENT]...: in mounts of its own from here on, where new_boot makes another run of the kernel of this one, as far as
# anybody can see.
own_boots() { [ -n "${VENEER_OWN_MOUNTS:-}" ] || VENEER_OWN_MOUNTS=1 exec unshare --mount --propagation private -- "$@"; }
new_boot() {
    cat /proc/sys/kernel/random/uuid >"$run_dir/boot_id"
    mountpoint -q /proc/sys/kernel/random/boot_id || mount --bind "$run_dir/boot_id" /proc/sys/kernel/random/boot_id
}

drop_mounts() {
    local dir
    while read -r _ dir _; do
        case $dir in "$1"/*) umount -l "$dir" 2>/dev/null || true ;; esac
    done < <(sort -r -k2 /proc/mounts)
}

stop_pidfile() {
    local pid i
    pid=$(cat "$1" 2>/dev/null || true)
    [ -n "$pid" ] || return 0
    kill -TERM "$pid" 2>/dev/null || true
    for ((i = 0; i < 150; i++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    if kill -0 "$pid" 2>/dev/null; then kill -KILL "$pid" 2>/dev/null || true; fi
    rm -f "$1"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# wait_for SECONDS WHAT LOG COMMAND...
wait_for() {
    local tries=$(($1 * 10)) what=$2 log=$3 i
    shift 3
    for ((i = 0; i < tries; i++)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    tail -n 20 "$log" >&2 || true
    die "$what did not start"
}

# ---- certificates

# make_ca DIR [public NAMES]: a root, an intermediate and a server chain, for 127.0.0.1 and localhost and as short as can be;
# or, with "public", for NAMES and with keys and extensions as the public authorities' chains have them, for their size.
make_ca() {
    local d=$1 names=${3:-DNS:localhost,IP:127.0.0.1} key=(ec -pkeyopt ec_paramgen_curve:P-256) of='' public=''
    if [ "${2:-}" = public ]; then
        key=(rsa:2048)
        of='/C=XX/O=e2e authorities'
        public='authorityInfoAccess=OCSP;URI:http://ocsp.ca.example,caIssuers;URI:http://crt.ca.example/issuer.crt
crlDistributionPoints=URI:http://crl.ca.example/issuer.crl
certificatePolicies=2.23.140.1.2.1
'
    fi
    mkdir -p "$d"
    [ ! -e "$d/ca.crt" ] || return 0
    (
        cd "$d"
        exec 2>openssl.log
        openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "$of/CN=e2e root" \
            -addext basicConstraints=critical,CA:TRUE -keyout root.key -out root.crt
        openssl req -newkey rsa:2048 -nodes -subj "$of/CN=e2e intermediate" -keyout mid.key -out mid.csr
        printf 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign,cRLSign\n%s' "$public" >mid.ext
        openssl x509 -req -in mid.csr -CA root.crt -CAkey root.key -CAcreateserial -days 30 \
            -extfile mid.ext -out mid.crt
        openssl req -newkey "${key[@]}" -nodes -subj "/CN=localhost" -keyout server.key -out server.csr
        printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n%s' "$names" "$public" >server.ext
        # two signed certificate timestamps (RFC 6962, 3.3), as a list of 242 bytes
        [ -z "$public" ] || printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n%s\n' \
            "1.3.6.1.4.1.11129.2.4.2=DER:0481F2$(openssl rand -hex 242)" >>server.ext
        openssl x509 -req -in server.csr -CA mid.crt -CAkey mid.key -CAcreateserial -days 30 \
            -extfile server.ext -out server.crt
        cat server.crt mid.crt >chain.crt
        cp root.crt ca.crt
    ) || {
        cat "$d/openssl.log" >&2
        die "openssl could not make the certificates"
    }
}

# ---- registry

reg() { printf '%s:%s' "${registry_host[$1]}" "${registry_port[$1]}"; }
reg_url() { printf '%s://%s' "${registry_scheme[$1]}" "$(reg "$1")"; }

# start_registry NAME [--tls] [--auth basic|token] [--scene] [--storage DIR] [--behind-meter]
# Users: ci / ci-secret (all), device / device-secret (pull; with token auth only).
# --scene: begins with the images of the reference scene, or (--scene FOLDER) of another one, which later pushes do not touch.
start_registry() {
    local name=$1 tls=0 auth='' scene='' storage='' d port behind=()
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        --tls) tls=1 ;;
        --auth) auth=$2 && shift ;;
        --scene)
            scene=$world_dir/registry
            case ${2:-} in /*) scene=$2 && shift ;; esac
            ;;
        --behind-meter) behind=("${meter_inside[@]:?}") ;;
        --storage) storage=$2 && shift ;;
        *) die "start_registry: unknown option $1" ;;
        esac
        shift
    done
    d=$run_dir/$name
    mkdir -p "$d"
    storage=${storage:-$d/data}
    [ -z "$scene" ] || scene_storage "$scene" "$storage"
    mkdir -p "$storage"
    port=$(free_port)
    registry_port[$name]=$port
    registry_scheme[$name]=http
    registry_host[$name]=127.0.0.1
    [ ${#behind[@]} = 0 ] || registry_host[$name]=${meter_server:?}
    {
        printf 'version: 0.1\nlog: {level: warn}\n'
        printf 'storage:\n  filesystem: {rootdirectory: %s}\n  delete: {enabled: true}\n' "$storage"
        printf 'http:\n  addr: %s\n' "$(reg "$name")"
        if [ $tls = 1 ]; then
            make_ca "$run_dir/ca"
            registry_scheme[$name]=https
            printf '  tls: {certificate: %s, key: %s}\n' "$run_dir/ca/chain.crt" "$run_dir/ca/server.key"
        fi
        case $auth in
        '') ;;
        basic)
            htpasswd -Bbc -C 4 "$d/htpasswd" ci ci-secret 2>/dev/null
            printf 'auth:\n  htpasswd: {realm: e2e, path: %s}\n' "$d/htpasswd"
            ;;
        token)
            start_token_server "$name" $tls
            printf 'auth:\n  token:\n    realm: %s\n    service: e2e\n    issuer: e2e\n    rootcertbundle: %s\n' \
                "$(cat "$run_dir/$name-token/url")" "$run_dir/$name-token/token.crt"
            ;;
        *) die "start_registry: unknown auth $auth" ;;
        esac
    } >"$d/config.yml"
    restart_registry "$name" "${behind[@]}"
}

# restart_registry NAME [PREFIX...]: at its old address.
restart_registry() {
    local name=$1 d=$run_dir/$1
    shift
    OTEL_TRACES_EXPORTER=none "$@" docker-registry serve "$d/config.yml" >"$d/access.log" 2>"$d/error.log" </dev/null &
    echo $! >"$d/pid"
    wait_for 30 "registry $name" "$d/error.log" \
        curl -sk --noproxy '*' -o /dev/null "$(reg_url "$name")/v2/"
    wire_mark "$name"
}

# The scene's blobs never change, so they are linked; links to them and tags do, so they are copied.
scene_storage() {
    local from=$1/docker/registry/v2 to=$2/docker/registry/v2
    mkdir -p "$to"
    cp -al "$from/blobs" "$to/blobs"
    cp -a "$from/repositories" "$to/repositories"
}

stop_registry() { stop_pidfile "$run_dir/$1/pid"; }

# start_token_server REGISTRY TLS
start_token_server() {
    local d=$run_dir/$1-token tls=$2 scheme=http port secure=()
    mkdir -p "$d"
    port=$(free_port)
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=e2e token" \
        -keyout "$d/token.key" -out "$d/token.crt" 2>/dev/null
    if [ "$tls" = 1 ]; then
        scheme=https
        secure=(--cert "$run_dir/ca/chain.crt" --key "$run_dir/ca/server.key")
    fi
    printf '%s://127.0.0.1:%s/token' "$scheme" "$port" >"$d/url"
    printf 'ci ci-secret pull,push,delete\ndevice device-secret pull\n' >"$d/users"
    echo 300 >"$d/lifetime"
    python3 "$e2e_dir/token_server.py" --port "$port" --dir "$d" "${secure[@]}" \
        >"$d/access.log" 2>"$d/error.log" </dev/null &
    echo $! >"$d/pid"
    wait_for 30 "token server" "$d/error.log" curl -sk --noproxy '*' -o /dev/null "$scheme://127.0.0.1:$port/token"
}

# token_lifetime REGISTRY SECONDS: how long the registry honours the tokens issued from now on.
token_lifetime() { echo "$2" >"$run_dir/$1-token/lifetime"; }
tokens_issued() { grep -c ' 200 ' "$run_dir/$1-token/access.log" || true; }

# ---- what went over the wire, from the registry's own access log

wire_mark() { wc -l <"$run_dir/$1/access.log" >"$run_dir/$1/mark"; }

# wire REGISTRY: the requests since the mark as METHOD PATH STATUS BYTES.
wire() {
    sleep 0.2
    tail -n +$(($(cat "$run_dir/$1/mark") + 1)) "$run_dir/$1/access.log" |
        sed -nE 's/^.* "([A-Z]+) ([^ ]+) HTTP[^"]*" ([0-9]+) ([0-9]+) .*$/\1 \2 \3 \4/p'
}

# pulled_bytes REGISTRY: bytes of blobs served since the mark.
pulled_bytes() {
    wire "$1" | awk '$1 == "GET" && $2 ~ /\/blobs\/sha256:/ && ($3 == 200 || $3 == 206) { n += $4 } END { print n + 0 }'
}

blob_gets() { wire "$1" | awk '$1 == "GET" && $2 ~ /\/blobs\/sha256:/ { n++ } END { print n + 0 }'; }

# writes REGISTRY: requests since the mark that change something.
writes() { wire "$1" | awk '$1 == "PUT" || $1 == "POST" || $1 == "PATCH" || $1 == "DELETE" { n++ } END { print n + 0 }'; }

accept_manifest='Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json'

# manifest REGISTRY REPO TAG|DIGEST; manifest_digest likewise, empty when there is none.
manifest() {
    curl -sfk --noproxy '*' -u ci:ci-secret -H "$accept_manifest" "$(reg_url "$1")/v2/$2/manifests/$3"
}
manifest_digest() {
    curl -sfkI --noproxy '*' -u ci:ci-secret -H "$accept_manifest" "$(reg_url "$1")/v2/$2/manifests/$3" |
        tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p' || true
}
blob() { curl -sfkL --noproxy '*' "$(reg_url "$1")/v2/$2/blobs/$3"; }

# ---- engine

# start_dockerd NAME [--data DIR]: an engine of its own, one device.
start_dockerd() {
    local name=$1 d=$run_dir/$1 data
    data=$d/data
    if [ "${2:-}" = --data ]; then data=$3; fi
    mkdir -p "$d" "$data"
    dockerd --iptables=false --ip6tables=false --bridge=none --storage-driver "${VENEER_STORAGE_DRIVER:-overlay2}" \
        --data-root "$data" --exec-root "$d/exec" --pidfile "$d/pid" -H "unix://$d/sock" \
        >"$d/log" 2>&1 </dev/null &
    wait_for 60 "dockerd $name" "$d/log" docker -H "unix://$d/sock" version
}

# start_device: the engine "device" of one test at a time, whose data are kept between runs: without containers, and without
# images but device-old:1.
start_device() {
    exec 8>"$world_dir/device.lock"
    flock 8
    start_dockerd device --data "$world_dir/device"
    empty_device
}
empty_device() {
    local id
    for id in $(on device ps -aq); do on device rm -f "$id" >/dev/null; done
    for id in $(on device images --format '{{.Repository}}:{{.Tag}}' | grep -v '^device-old:1$' || true); do
        on device rmi -f "$id" >/dev/null 2>&1 || true
    done
}

stop_dockerd() { stop_pidfile "$run_dir/$1/pid"; }

# on DEVICE DOCKER-ARGUMENTS...
on() {
    local name=$1
    shift
    docker -H "unix://$run_dir/$name/sock" "$@"
}

# start_containerd NAME [--data DIR]: a containerd of its own, without the parts for Kubernetes.
start_containerd() {
    local name=$1 d=$run_dir/$1 data
    data=$d/data
    if [ "${2:-}" = --data ]; then data=$3; fi
    mkdir -p "$d" "$data" "$d/opt"
    cat >"$d/config.toml" <<END
version = 2
root = "$data"
state = "$d/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$d/sock"
END
    containerd --config "$d/config.toml" >"$d/log" 2>&1 </dev/null &
    echo $! >"$d/pid"
    wait_for 60 "containerd $name" "$d/log" ctr --address "$d/sock" version
}

stop_containerd() { stop_pidfile "$run_dir/$1/pid"; }

# ctr_on DEVICE CTR-ARGUMENTS...
ctr_on() {
    local name=$1
    shift
    ctr --address "$run_dir/$name/sock" "$@"
}

# podman_args DEVICE: what makes a podman of its own, which needs no service.
podman_args() { printf -- '--root %s/data --runroot %s/run --storage-driver vfs\n' "$run_dir/$1" "$run_dir/$1"; }

# podman_on DEVICE PODMAN-ARGUMENTS...
podman_on() {
    local name=$1 args=()
    shift
    mkdir -p "$run_dir/$name"
    read -ra args < <(podman_args "$name")
    podman "${args[@]}" "$@"
}
