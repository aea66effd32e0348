# Shared by the scripts here: what they need, a server of their own, and counted checks. Sourced.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
target=${CARGO_TARGET_DIR:-$root/target}

# Names what is missing and the package that has it, and gives up.
require() {
    local program=$1 package=$2
    if ! command -v "$program" >/dev/null; then
        echo "FAILED $program is missing: install the package $package" >&2
        exit 1
    fi
}

require_file() {
    local file=$1 remedy=$2
    if [[ ! -e $file ]]; then
        echo "FAILED $file is missing: $remedy" >&2
        exit 1
    fi
}

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

# Paths of what is tested, for every part. They are not called MEMBRANE_…, since the program
# refuses variables with its prefix that it does not know.
find_programs() {
    export E2E_MEMBRANE E2E_SCRIPTED E2E_SITE
    E2E_MEMBRANE=$(realpath -m "${MEMBRANE_BIN:-$target/debug/membrane}")
    E2E_SCRIPTED=$(realpath -m "${MEMBRANE_SCRIPTED:-$target/debug/membrane-scripted}")
    E2E_SITE=$(realpath -m "${MEMBRANE_SITE_DIR:-$target/site}")
    local name
    for name in "${!MEMBRANE_@}"; do
        unset "$name"
    done
    require_file "$E2E_MEMBRANE" "run cargo build -p membrane-server, or set MEMBRANE_BIN"
}

# Starts a server in a directory and waits until it is healthy; sets server_url and server_pid.
start_server() {
    local data=$1 port
    shift
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    server_url=http://127.0.0.1:$port
    "$E2E_MEMBRANE" serve --data-dir "$data" --listen "127.0.0.1:$port" --embedded-runner false "$@" >"$data/serve.log" 2>&1 &
    server_pid=$!
    eventually 30 curl --silent --fail --output /dev/null "$server_url/health"
}

stop_server() {
    kill "$server_pid" 2>/dev/null || return 0
    wait "$server_pid"
}

# Repeats a command until it succeeds, at most so many seconds.
eventually() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        if ((SECONDS >= deadline)); then
            echo "gave up waiting for: $*" >&2
            return 1
        fi
        sleep 0.05
    done
}

passed=0
failed=0

# A check that is one command.
check() {
    local name=$1
    shift
    if "$@"; then
        echo "ok $name"
        passed=$((passed + 1))
    else
        echo "FAILED $name"
        failed=$((failed + 1))
    fi
}

close_line() {
    echo "$passed passed, $failed failed"
    ((failed == 0))
}
