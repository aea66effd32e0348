#!/usr/bin/env bash
# Proves with official clients that the scripted model is wire-true: the Python SDK, the TypeScript
# SDK and the command-line agent, and that recorded requests fit the SDK's own types.
#
#   end2end/wire/run.sh            all of it
#   end2end/wire/run.sh --install  only what the checks and the validator need
#
# Needs python3, node and npm, and the binary (cargo build -p membrane-scripted), whose path may be
# given in MEMBRANE_SCRIPTED.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}
MEMBRANE_SCRIPTED=$(realpath -m "${MEMBRANE_SCRIPTED:-$target/debug/membrane-scripted}")
export MEMBRANE_SCRIPTED
# Bytecode beside the sources would only be in the way.
export PYTHONDONTWRITEBYTECODE=1

# Runs a command unless it has succeeded for this very content of a file already.
once_for() {
    local file=$1 stamp=$2
    shift 2
    if [[ -f $stamp ]] && cmp --silent "$file" "$stamp"; then
        return
    fi
    "$@"
    cp "$file" "$stamp"
}

install_python() {
    [[ -x .venv/bin/python ]] || python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
}

install_node() {
    # The agent's binary is an optional dependency; its own script, which npm may refuse to run,
    # puts it in its place.
    npm ci --no-audit --no-fund --loglevel=error
    node node_modules/@anthropic-ai/claude-code/install.cjs
}

cd "$here"
once_for requirements.txt .venv/installed-requirements.txt install_python
once_for package-lock.json node_modules/installed-package-lock.json install_node
if [[ ${1:-} == --install ]]; then
    exit
fi
if [[ ! -x $MEMBRANE_SCRIPTED ]]; then
    echo "$MEMBRANE_SCRIPTED is missing: run cargo build -p membrane-scripted" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=.venv/bin/python
passed=0
failed=0

# Runs a test peer and counts its checks. One that ends badly has at least one failure, also when
# it did not come to printing it.
peer() {
    local code=0 bad
    "$@" | tee "$work/checks" || code=$?
    passed=$((passed + $(grep -c '^ok ' "$work/checks" || true)))
    bad=$(grep -c '^FAILED ' "$work/checks" || true)
    if ((code != 0 && bad == 0)); then
        echo "FAILED $* ended with $code"
        bad=1
    fi
    failed=$((failed + bad))
}

# A check that is one command.
check() {
    local name=$1
    shift
    if "$@"; then echo "ok $name"; else echo "FAILED $name"; fi
}

peer "$python" validate_test.py
peer "$python" python_sdk.py
peer node node_sdk.mjs
peer "$python" cli.py --bodies "$work/cli.jsonl"
peer check "validator: what the agent sent fits the SDK's types" \
    "$python" validate.py --beta "$work/cli.jsonl"

echo "$passed passed, $failed failed"
((failed == 0))
