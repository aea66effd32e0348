#!/usr/bin/env bash
# Prepares the peer's packages and runs the benchmarks. `make bench` calls it.
#
#   BENCH_BIN  the driver            MEMBRANE_BIN  the release server
#   SITE       the browser bundle    DATA          where everything is stored
#   ROWS       rows, by number       ROUNDS        rounds that are to be kept
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$here/.venv

if ! cmp --silent "$here/peer/requirements.txt" "$venv/installed-requirements.txt"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/peer/requirements.txt"
    cp "$here/peer/requirements.txt" "$venv/installed-requirements.txt"
fi

membrane=$MEMBRANE_BIN
# The program refuses variables with its prefix that it does not know.
for name in "${!MEMBRANE_@}"; do
    unset "$name"
done
mkdir -p "$DATA"
read -ra rows <<<"${ROWS:-}"
exec "$BENCH_BIN" --membrane "$membrane" --site "$SITE" --data "$DATA" \
    --crates "${CARGO_HOME:-$HOME/.cargo}/registry/src" \
    --python "$venv/bin/python" --peer "$here/peer/main.py" \
    --rounds "${ROUNDS:-7}" "${rows[@]}"
