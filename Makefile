# Everything a person types. `make` alone lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Where cargo builds, what our own tools are installed below, and where the browser bundle goes.
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
TOOLS := $(TARGET)/tools
BUF := $(CURDIR)/end2end/node_modules/.bin/buf
export CARGO_TARGET_DIR := $(TARGET)
export PATH := $(TOOLS)/bin:$(PATH)

.PHONY: help
help: ## List what can be made.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- Running -----------------------------------------------------------------------------------

.PHONY: run
run: build ## Serve from ./data and print the address and a sign-in link.
	exec '$(TARGET)/debug/membrane' serve --data-dir ./data --sandbox-toolchains true --login-link

.PHONY: build
build: setup ## Build the server and what browsers load from it.
	cargo build
	node app/frontend/bundle.mjs

.PHONY: setup
setup: ## Install what building and running need; quick when it is there.
	@TOOLS='$(TOOLS)' end2end/setup/setup.sh run

.PHONY: setup-test
setup-test: ## Install what the tests need beside that.
	@TOOLS='$(TOOLS)' end2end/setup/setup.sh test

.PHONY: setup-bench
setup-bench: ## Install what the benchmarks compare with.
	@TOOLS='$(TOOLS)' end2end/setup/setup.sh bench

.PHONY: clean
clean: ## Remove what was built and downloaded; ./data stays.
	cargo clean
	rm -rf app/frontend/node_modules end2end/node_modules end2end/.venv \
		end2end/wire/node_modules end2end/wire/.venv

# --- Tests -------------------------------------------------------------------------------------

# In this order, the quick ones first; a name is also a target of its own. For some of them only:
# make test PHASES='fmt lint'.
PHASES := fmt proto lint lint-browser unit postgres security bundle wire end2end

.PHONY: test
test: setup-test ## Run every check there is, one after the other, with the time of each.
	@MAKE='$(MAKE)' end2end/setup/phases.sh $(PHASES)

.PHONY: fmt
fmt: ## Check how Rust sources are laid out.
	cargo fmt --all --check

.PHONY: proto
proto: ## Lint the wire and compare it with the baseline.
	cd proto && '$(BUF)' lint
	cd proto && '$(BUF)' breaking --against baseline.binpb

.PHONY: lint
lint: ## Run clippy on everything but the browser's side.
	cargo clippy --all-targets --keep-going -- -D warnings

.PHONY: lint-browser
lint-browser: ## Run clippy on the console as the browser gets it.
	cargo clippy --package membrane-frontend --target wasm32-unknown-unknown -- -D warnings

.PHONY: unit
unit: ## Run the tests of the crates.
	cargo test --no-fail-fast

.PHONY: postgres
postgres: ## Run the tests of the server once more, with PostgreSQL.
	TEST_DATABASE=postgres cargo test --no-fail-fast --test server

.PHONY: security
security: ## Try to get out of the sandbox, as an unprivileged user.
	runner/agent/tests/security/run.sh

.PHONY: bundle
bundle: ## Build what browsers load, and check that it is small enough.
	node app/frontend/bundle.mjs --check

.PHONY: wire
wire: binaries ## Try the scripted model with official clients, and our requests with their types.
	MEMBRANE_SCRIPTED='$(TARGET)/debug/membrane-scripted' end2end/wire/run.sh
	cargo test --quiet --test engine
	end2end/wire/.venv/bin/python end2end/wire/validate.py '$(TARGET)/tmp/native-requests.jsonl'

.PHONY: end2end
end2end: binaries bundle ## Try the real binaries with a browser, Python and shell scripts.
	MEMBRANE_BIN='$(TARGET)/debug/membrane' MEMBRANE_SCRIPTED='$(TARGET)/debug/membrane-scripted' \
		MEMBRANE_SITE_DIR='$(TARGET)/site' end2end/run.sh

# With all targets, dependencies get the same features as for `cargo test`, so that nothing is
# built a second time after it.
.PHONY: binaries
binaries:
	cargo build --all-targets

.PHONY: screenshots
screenshots: setup-test binaries bundle ## Take a picture of every view, into end2end/artefacts.
	MEMBRANE_BIN='$(TARGET)/debug/membrane' MEMBRANE_SCRIPTED='$(TARGET)/debug/membrane-scripted' \
		MEMBRANE_SITE_DIR='$(TARGET)/site' end2end/screenshots.sh

# For as long as you like, up to half an hour: make soak MINUTES=30. The same faults again: SEED=7.
.PHONY: soak
soak: setup-test binaries bundle ## Kill, hold up and cut off what runs need; see that none is lost or done twice.
	MEMBRANE_BIN='$(TARGET)/debug/membrane' MEMBRANE_SITE_DIR='$(TARGET)/site' \
		MINUTES='$(or $(MINUTES),10)' SEED='$(SEED)' end2end/soak/run.sh

# For some rows of the list of goals: make bench ROWS='1 11'. For a quick try: ROUNDS=2. For data in
# memory: DATA=/dev/shm.
.PHONY: bench
bench: setup-bench ## Compare how fast everything is with limits and with a peer.
	cargo build --release --package membrane-server --package membrane-bench
	node app/frontend/bundle.mjs
	BENCH_BIN='$(TARGET)/release/membrane-bench' MEMBRANE_BIN='$(TARGET)/release/membrane' \
		SITE='$(TARGET)/site' DATA='$(or $(DATA),$(TARGET)/bench)' \
		ROWS='$(ROWS)' ROUNDS='$(or $(ROUNDS),7)' end2end/bench/run.sh

.PHONY: proto-baseline
proto-baseline: ## Promise the wire as it is now: later changes must not break it.
	cd proto && '$(BUF)' build --exclude-source-info --output baseline.binpb
