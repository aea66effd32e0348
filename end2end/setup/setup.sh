#!/usr/bin/env bash
# Installs what is missing for `make run`, `make test` or `make bench`, and says in a line each what and why.
# Whatever is there is left alone, so that a second time takes a moment.
#
#   end2end/setup/setup.sh run    what building and running need
#   end2end/setup/setup.sh test   the same, and what the tests need
#   end2end/setup/setup.sh bench  what building and running need, and what is measured beside it
#
# TOOLS names the directory that our own tools are installed below.
set -euo pipefail

purpose=${1:?run, test or bench}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${TOOLS:=$PWD/target/tools}"

say() {
    printf 'setup: %s\n' "$*"
}

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null
}

# Whether a version is not below another.
at_least() {
    [[ $(printf '%s\n%s\n' "$2" "$1" | sort --version-sort | head -n 1) == "$2" ]]
}

# --- What nobody but you should choose ---------------------------------------------------------

need_toolchains() {
    has cargo || fail 'cargo is missing: install Rust 1.95 or newer, see https://rustup.rs'
    has npm || fail 'npm is missing: install Node.js 20.11 or newer with npm, see https://nodejs.org'
    local rust node
    rust=$(rustc --version | cut -d ' ' -f 2)
    node=$(node --version)
    at_least "$rust" 1.95.0 || fail "Rust is $rust, 1.95 or newer is needed: rustup update"
    at_least "${node#v}" 20.11.0 || fail "Node.js is $node, 20.11 or newer is needed"
}

# --- Debian packages ---------------------------------------------------------------------------

missing=()

want() {
    local package=$1 why=$2
    shift 2
    if "$@" >/dev/null 2>&1; then
        return
    fi
    say "the package $package is missing: $why"
    missing+=("$package")
}

a_c_compiler() {
    has cc && has ar
}

has_postgres() {
    has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb'
}

a_font() {
    compgen -G '/usr/share/fonts/truetype/dejavu/*.ttf'
}

want_packages() {
    want build-essential 'a C compiler for ring and SQLite' a_c_compiler
    want bubblewrap 'the sandbox around what agents run' has bwrap
    "want_packages_of_$purpose"
}

want_packages_of_run() {
    :
}

want_packages_of_bench() {
    want git 'one who finds what changed' has git
    want python3 'the peer that stores events' has python3
    want python3-venv 'packages for it, outside the system' python3 -c 'import ensurepip, venv'
    want restic 'one who finds and keeps what changed' has restic
    want ripgrep 'one who searches files' has rg
    want unzip 'one who unpacks archives' has unzip
    want zip 'one who makes archives' has zip
    want zstd 'archives of the other kind' has zstd
}

want_packages_of_test() {
    want chromium 'the browser of the end-to-end tests' has chromium
    want curl 'requests by shell scripts' has curl
    want fonts-dejavu-core 'text in that browser' a_font
    want git 'the list of tracked files, whose rules are checked' has git
    want iproute2 'a network of a test of its own' has ip
    want jq 'their answers' has jq
    want postgresql 'the database that several servers can share' has_postgres
    want python3 'clients of the API and of the scripted model' has python3
    want python3-pip 'one of the programs that go out through the proxy' python3 -m pip --version
    want python3-venv 'packages for them, outside the system' python3 -c 'import ensurepip, venv'
    want unzip 'a second opinion on archives' has unzip
    want zip 'archives to import' has zip
}

install_packages() {
    ((${#missing[@]} > 0)) || return 0
    local install=(apt-get install --yes --no-install-recommends "${missing[@]}")
    local as_root=()
    has apt-get || fail "install these, or what your system calls them: ${missing[*]}"
    if ((EUID != 0)); then
        # Never waits for a password: there may be nobody to type it.
        { has sudo && sudo --non-interactive true 2>/dev/null; } \
            || fail "run this as root, then try again: apt-get update && ${install[*]}"
        as_root=(sudo --non-interactive)
    fi
    export DEBIAN_FRONTEND=noninteractive
    "${as_root[@]}" apt-get update --quiet
    "${as_root[@]}" "${install[@]}"
}

# --- For the browser bundle --------------------------------------------------------------------

install_wasm_target() {
    local name=wasm32-unknown-unknown
    [[ ! -d $(rustc --print target-libdir --target $name) ]] || return 0
    say "the Rust target $name, which the console is compiled to"
    has rustup || fail "there is no rustup to add it with: install Rust's standard library for $name"
    rustup target add $name
}

install_wasm_bindgen() {
    # The program and the crate must be the same version.
    local version
    version=$(grep --after-context=1 --line-regexp --fixed-strings 'name = "wasm-bindgen"' Cargo.lock \
        | sed -n 's/^version = "\(.*\)"$/\1/p')
    [[ $(wasm-bindgen --version 2>/dev/null) != "wasm-bindgen $version" ]] || return 0
    say "wasm-bindgen $version below $TOOLS, which joins the console's wasm to JavaScript"
    # Not --locked: its lock file names a version of webpki-roots that the registry does not have.
    cargo install wasm-bindgen-cli --version "$version" --root "$TOOLS" --target-dir "$TOOLS/build"
    rm -rf "$TOOLS/build"
}

install_wasm_split() {
    # It says no version; it refuses wasm of a newer one.
    has wasm-split-cli && return
    local version
    version=$(sed -n "s/^const SPLITTER = '\(.*\)';$/\1/p" app/frontend/bundle.mjs)
    say "wasm-split-cli $version below $TOOLS, which cuts the console's wasm into parts"
    cargo install wasm_split_cli_support --version "$version" --locked --features build-binary \
        --root "$TOOLS" --target-dir "$TOOLS/build"
    rm -rf "$TOOLS/build"
}

# --- For the tests ----------------------------------------------------------------------------

install_object_store() {
    local version=0.14.1
    [[ $(s3s-fs --version 2>/dev/null) != "s3s-fs $version" ]] || return 0
    say "s3s-fs $version below $TOOLS, an object store that speaks S3"
    cargo install s3s-fs --version "$version" --locked --features binary --root "$TOOLS" \
        --target-dir "$TOOLS/build"
    rm -rf "$TOOLS/build"
}

# --- npm packages ------------------------------------------------------------------------------

npm_packages() {
    local directory=$1 why=$2
    local lock=$1/package-lock.json stamp=$1/node_modules/installed-package-lock.json
    if cmp --silent "$lock" "$stamp"; then
        return
    fi
    say "npm packages of $directory: $why"
    npm ci --prefix "$directory" --no-audit --no-fund --loglevel=error
    cp "$lock" "$stamp"
}

need_toolchains
want_packages
install_packages
install_wasm_target
install_wasm_bindgen
install_wasm_split
npm_packages app/frontend 'esbuild for the CSS, wasm-opt for the size of the console'
if [[ $purpose == test ]]; then
    install_object_store
    npm_packages end2end 'buf for the proto files, a driver for the browser'
fi
