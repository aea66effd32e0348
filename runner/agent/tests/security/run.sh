#!/usr/bin/env bash
# Builds the security suite and runs it as an unprivileged user: as root it would prove little. Fails
# unless every test of list.txt has run, and no other.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

built=$(cargo test --package membrane-agent --features switchable-guards --test security --no-run \
    --message-format=json | jq -r 'select(.executable != null) | .executable')
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
# Where it was built, another user may not look.
install -m 755 "$(grep -E '/security-[0-9a-f]+$' <<<"$built")" "$directory/security"
install -m 755 "$(grep -E '/membrane-inside$' <<<"$built")" "$directory/membrane-inside"
mkdir -m 700 "$directory/tmp"
chmod 755 "$directory"

as_somebody=()
if ((EUID == 0)); then
    chown 65534:65534 "$directory/tmp"
    as_somebody=(setpriv --reuid 65534 --regid 65534 --clear-groups --)
fi
diff "$here/list.txt" <("$directory/security" --list --format terse | sed 's/: test$//' | LC_ALL=C sort) || {
    echo 'the list of tests in list.txt is not what there is' >&2
    exit 1
}
cd /
said=$(env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$directory/tmp" TMPDIR="$directory/tmp" LOGNAME=nobody \
    "${as_somebody[@]}" "$directory/security" --test-threads="${SECURITY_THREADS:-4}" ${FILTER:+"$FILTER"} 2>&1) ||
    { echo "$said"; exit 1; }
echo "$said"
[[ -n ${FILTER:-} ]] || grep -q "^test result: ok. $(wc -l <"$here/list.txt") passed; 0 failed; 0 ignored; 0 measured; 0 filtered out" <<<"$said"
