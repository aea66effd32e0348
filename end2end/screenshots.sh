#!/usr/bin/env bash
# Takes a picture of every view, large and small, light and dark, into end2end/artefacts.
set -euo pipefail
FILTER=views exec "$(dirname "${BASH_SOURCE[0]}")/run.sh" browser
