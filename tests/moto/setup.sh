#!/bin/sh
# Makes the Python environment that the AWS tests run their server in, once per requirements.txt, and prints its python.
# It lies in ${RUNNER_TEST_CACHE:-$HOME/.cache/runner}; tests/it/moto.rs looks there, or in $RUNNER_MOTO_PYTHON.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if command -v sha256sum >/dev/null; then sha="sha256sum"; else sha="shasum -a 256"; fi
digest=$($sha "$here/requirements.txt" | cut -c1-12)
home="${RUNNER_TEST_CACHE:-$HOME/.cache/runner}/moto-$digest"
if [ ! -e "$home/complete" ]; then
    rm -rf "$home"
    mkdir -p "$(dirname "$home")"
    python3 -m venv "$home" >&2
    "$home/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt" >&2
    touch "$home/complete"
fi
echo "$home/bin/python"
