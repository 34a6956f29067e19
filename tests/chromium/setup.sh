#!/bin/sh
# Makes the folder with the headless Chromium that the tests open reports in, with the libraries and the fonts that come
# with it, once per package-lock.json, and prints it.
# It lies in ${RUNNER_TEST_CACHE:-$HOME/.cache/runner}; tests/it/browser.rs looks there, or in $RUNNER_CHROMIUM.
#
# Needs Node with npm, to fetch and unpack it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if command -v sha256sum >/dev/null; then sha="sha256sum"; else sha="shasum -a 256"; fi
digest=$(cat "$here/package-lock.json" "$here/setup.sh" | $sha | cut -c1-12)
home="${RUNNER_TEST_CACHE:-$HOME/.cache/runner}/chromium-$digest"
if [ ! -e "$home/complete" ]; then
    # Made beside it and then renamed.
    part="$home.part.$$"
    trap 'rm -rf "$part"' EXIT
    trap 'exit 1' HUP INT TERM
    mkdir -p "$part/npm"
    cp "$here/package.json" "$here/package-lock.json" "$part/npm"
    (cd "$part/npm" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >&2
    packed="$part/npm/node_modules/@sparticuz/chromium/bin"
    node -e '
        const fs = require("fs"), zlib = require("zlib"), [from, to] = process.argv.slice(1);
        for (const name of ["chromium", "al2023.tar", "fonts.tar"]) {
            fs.writeFileSync(`${to}/${name}`, zlib.brotliDecompressSync(fs.readFileSync(`${from}/${name}.br`)));
        }' "$packed" "$part"
    chmod +x "$part/chromium"
    for archive in al2023 fonts; do
        tar -xf "$part/$archive.tar" -C "$part"
        rm "$part/$archive.tar"
    done
    cat >"$part/fonts.conf" <<EOF
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>$home/fonts</dir><cachedir>$home/fonts-cache</cachedir></fontconfig>
EOF
    rm -rf "$part/npm"
    touch "$part/complete"
    # Whoever else was at it may have been quicker: theirs stays.
    if [ ! -e "$home/complete" ]; then
        rm -rf "$home"
        mv "$part" "$home"
    fi
fi
echo "$home"
