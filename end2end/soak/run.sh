#!/usr/bin/env bash
# Keeps two servers, two runners, a PostgreSQL and an object store busy while they are killed, held up and
# cut off from one another, then checks that nothing was lost and nothing happened twice. Writes its report to
# end2end/artefacts/soak.txt, and with it the logs of all programs.
#
# Environment: MINUTES of faults (default 10, at most 30), SEED to repeat the choice of faults, and
# MEMBRANE_BIN and MEMBRANE_SITE_DIR as in end2end/run.sh. As root it also cuts a runner off from its
# server, in a network namespace. Needs python3 with venv, bubblewrap and PostgreSQL.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

install_python() {
    [[ -x .venv/bin/python ]] || python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
}

cd "$here"
find_programs
require python3 python3
require bwrap bubblewrap
require_file "$(dirname "$E2E_MEMBRANE")/membrane-runner" "run cargo build, or set MEMBRANE_BIN"
once_for requirements.txt .venv/installed-requirements.txt install_python
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=python exec .venv/bin/python soak/main.py
