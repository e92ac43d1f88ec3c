#!/usr/bin/env bash
# Make docs/images/showers.png, the top of the page that `make showers` writes. Needs Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
chromium --headless --no-sandbox --disable-gpu --disable-background-networking --hide-scrollbars \
    --disable-component-update --disable-sync --no-first-run --user-data-dir="$profile" \
    --window-size=1240,1240 --virtual-time-budget=4000 \
    --screenshot=docs/images/showers.png "file://$PWD/showers.html"
