#!/usr/bin/env bash
# Tests with the real binaries: from a shell, from Python, and in a browser.
#
#   end2end/run.sh                       all parts
#   end2end/run.sh scripting             one or several of: scripting, python, browser
#   FILTER=crash end2end/run.sh python   only the files of a part whose names begin so
#
# Environment: MEMBRANE_BIN (default target/debug/membrane), MEMBRANE_SCRIPTED (default
# target/debug/membrane-scripted) and MEMBRANE_SITE_DIR (default target/site), the built console.
# Needs python3 with venv, node, npm, curl, jq, zip, bubblewrap and chromium; no part is skipped.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

install_python() {
    [[ -x .venv/bin/python ]] || python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
}

install_node() {
    npm ci --no-audit --no-fund --loglevel=error
}

part_scripting() {
    ./scripting.sh
}

part_python() {
    PYTHONDONTWRITEBYTECODE=1 .venv/bin/python python/main.py "${FILTER:-}*"
}

part_browser() {
    require chromium chromium
    require cargo cargo
    require_file "$E2E_SITE/pkg" "run node app/frontend/bundle.mjs, or set MEMBRANE_SITE_DIR"
    require_file "$E2E_SCRIPTED" "run cargo build -p membrane-scripted, or set MEMBRANE_SCRIPTED"
    node --test --test-concurrency=1 --test-timeout=300000 --test-reporter=./browser/lines.mjs \
        browser/"${FILTER:-}"*.test.mjs
}

cd "$here"
find_programs
require python3 python3
require node nodejs
require npm npm
require bwrap bubblewrap
once_for requirements.txt .venv/installed-requirements.txt install_python
once_for package-lock.json node_modules/installed-package-lock.json install_node

parts=("$@")
if ((${#parts[@]} == 0)); then
    parts=(scripting python browser)
fi
bad=()
for part in "${parts[@]}"; do
    echo "-- $part"
    "part_$part" || bad+=("$part")
done
if ((${#bad[@]} > 0)); then
    echo "failed: ${bad[*]}"
    exit 1
fi
