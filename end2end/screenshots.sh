#!/usr/bin/env bash
# Takes a picture of every view, large and small, light and dark, into end2end/artefacts, and puts
# those of the tour where the README shows them. Look at them before they are committed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
FILTER=views ./run.sh browser
FILTER=tour ./run.sh browser
mkdir -p pictures
cp artefacts/tour-*.png pictures/
