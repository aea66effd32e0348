#!/usr/bin/env bash
# Makes targets one after the other, all of them also when one fails, and says at the end how long
# each took. Fails if any of them did.
#
#   end2end/setup/phases.sh <target>...
set -euo pipefail

failed=0
summary=''
for phase in "$@"; do
    printf '\n=== %s\n' "$phase"
    begun=$SECONDS
    outcome=ok
    "${MAKE:-make}" --no-print-directory "$phase" || outcome=FAILED
    [[ $outcome == ok ]] || failed=$((failed + 1))
    took=$((SECONDS - begun))
    summary+=$(printf '%-14s %-7s %3d min %02d s' "$phase" "$outcome" $((took / 60)) $((took % 60)))$'\n'
done

printf '\n=== summary\n%s' "$summary"
printf '%-14s %-7s %3d min %02d s\n' total "$( ((failed == 0)) && echo ok || echo FAILED)" \
    $((SECONDS / 60)) $((SECONDS % 60))
((failed == 0))
