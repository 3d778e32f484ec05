# What one types. `make help` lists it; each target says what is missing, and what to do about it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
# Tools that this file installs live beside the project's other data, not in anybody's home.
TOOLS := .data/tools
export PATH := $(CURDIR)/$(TOOLS)/bin:$(PATH)
TARGET := $(or $(CARGO_TARGET_DIR),target)
# In CI a run that hides failures behind the first one is of no use either; only its output is shorter.
NEXTEST_PROFILE := $(if $(CI),ci,default)

.PHONY: help run test test-long bench bench-quick bench-growth check arch alerts deny fmt lint migrate demo openapi api-check client-check docs-check guide-check conformance cargo nextest cargo-deny

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-13s %s\n", $$1, $$2 }'

run: cargo ## Serve the shop, with its own PostgreSQL and Stripe simulator (DATABASE_URL, STRIPE_API_KEY: real ones)
	cargo run --locked --package app -- serve

test: nextest ## Run all tests, beside a PostgreSQL of their own
	cargo nextest run --locked --workspace --profile $(NEXTEST_PROFILE) --no-run
	$(TARGET)/debug/app with-test-postgres cargo nextest run --locked --workspace --profile $(NEXTEST_PROFILE)

# Optimised, with the checks of development on: nine times a million inputs would take hours without.
test-long: nextest ## Run the long forms of the random tests (TRIALS_SEED=... repeats a run); api-check with 500 examples
	@echo 'Trying 2,000 sequences of the model, 1,000,000 inputs of each parser and many faults, with a new seed ...'
	cargo nextest run --locked --workspace --profile long --cargo-profile long --no-run
	TRIALS=long $(TARGET)/long/app with-test-postgres \
		cargo nextest run --locked --workspace --profile long --cargo-profile long \
		-E 'test(/^(model|parsing|faults|idempotency_model)::/)'
	conformance/api.sh 500 $$RANDOM

bench: cargo ## Measure the shop against what PostgreSQL itself can do (some 14 minutes, on a machine that idles)
	cargo build --locked --release --package app --package bench
	$(TARGET)/release/bench

bench-quick: cargo ## The same in less than two minutes: one round, at 16 and 64 connections
	cargo build --locked --release --package app --package bench
	$(TARGET)/release/bench --quick

bench-growth: cargo ## Measure shops of 10 thousand, 1 and 10 million orders (GROWTH='--sizes ... --max-minutes ...')
	cargo build --locked --release --package app --package bench
	$(TARGET)/release/bench growth $(GROWTH)

check: lint arch alerts deny ## Run all checks but the tests

arch: cargo ## Check that the crates depend on each other as docs/ARCHITECTURE.md says
	scripts/check-architecture.sh

alerts: ## Check the alerts with promtool: that each fires when it should
	deploy/prometheus/check.sh

deny: cargo-deny ## Check licences, sources, bans and known holes of the dependencies
	scripts/check-dependencies.sh

fmt: cargo ## Format the code
	cargo fmt --all

lint: cargo ## Check the formatting, and clippy without a warning
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings

migrate: cargo ## Bring the schema of the database up to date (DATABASE_URL; without it the private one)
	cargo run --locked --package app -- migrate

demo: cargo ## Walk through a purchase, from registration to shipping, against a shop of its own
	scripts/demo.sh

openapi: cargo ## Write docs/openapi.json anew from the code
	cargo test --locked --quiet --package api-actix --lib -- --ignored write_the_committed_copy

api-check: cargo ## Hold the API to docs/openapi.json: lint, examples, Schemathesis (needs npm, python3, the network)
	conformance/api.sh 20

client-check: cargo ## Generate a TypeScript client and let it buy something (needs npm and the network)
	conformance/client.sh

docs-check: cargo ## Click through a purchase on /docs (needs Chromium, npm and the network)
	conformance/docs.sh

guide-check: cargo ## Run every command of docs/API.md (needs jq)
	conformance/guide.sh

conformance: cargo ## Check the Stripe simulator with Stripe's own programs (needs npm, python3 and the network)
	conformance/run.sh

# --- What the targets above need ---------------------------------------------------------------------------------------

cargo:
	@command -v cargo > /dev/null || { echo 'cargo is missing. To do: install Rust from https://rustup.rs, then open a new shell.'; exit 1; }

nextest: cargo
	@command -v cargo-nextest > /dev/null || { \
		echo 'cargo-nextest is missing: installing it into $(TOOLS) (once, some minutes) ...'; \
		cargo install --quiet --locked --root $(TOOLS) cargo-nextest; \
	} || { \
		echo 'cargo-nextest could not be installed. To do: see https://nexte.st, or run `cargo test --workspace`.'; \
		exit 1; \
	}

cargo-deny: cargo
	@command -v cargo-deny > /dev/null || { \
		echo 'cargo-deny is missing: installing it into $(TOOLS) (once, some minutes) ...'; \
		cargo install --quiet --locked --root $(TOOLS) cargo-deny; \
	} || { \
		echo 'cargo-deny could not be installed. To do: check the network, or see https://embarkstudios.github.io/cargo-deny'; \
		exit 1; \
	}
