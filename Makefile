# `make` lists every target with a `##` comment.
.DEFAULT_GOAL := help

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: ## Start the server (SQLite in data/, http://127.0.0.1:3000)
	cargo run --locked

.PHONY: test
test: ## Run the tests, which also check openapi/openapi.yaml and the reference in the README (all tests: .ci/with-clients .ci/with-mail-server .ci/with-postgres make test)
	cargo test --workspace --locked

.PHONY: chaos
chaos: ## Load servers that are killed at random for CHAOS_SECONDS (300), check that nothing is lost or doubled, and repeat the tests that kill (also on PostgreSQL: .ci/with-postgres make chaos)
	tests/chaos/run
	CHAOS_ROUNDS=50 cargo test --test it --locked -- despite_kills is_killed thousands_of_moves

.PHONY: rolling
rolling: ## Restart two servers behind nginx under load (.ci/with-clients .ci/with-postgres make rolling)
	tests/rolling/run

.PHONY: lint
lint: ## Check formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: lint-openapi
lint-openapi: ## Lint openapi/openapi.yaml with Spectral, Redocly and rules of our own (needs Node.js)
	.ci/lint-openapi

.PHONY: breaking
breaking: ## Find changes of openapi/openapi.yaml since the last release that break clients (needs Node.js)
	.ci/check-breaking-changes

.PHONY: deny
deny: ## Check licences, sources and security advisories of the dependencies
	.ci/check-dependencies

.PHONY: bench
bench: ## Compare the release build with bare handlers on both databases (needs wrk; in 2 minutes: make bench MODE=short; another binary: BIN=PATH)
	BIN="$(BIN)" benches/run $(MODE)

.PHONY: bench-scale
bench-scale: ## Benchmark large databases, streams and deliveries (some: PARTS="streams"; also on PostgreSQL: .ci/with-postgres make bench-scale)
	BIN="$(BIN)" benches/run scale $(PARTS)

.PHONY: fuzz
fuzz: ## Send about 10,000 generated requests to the release build (also on PostgreSQL: .ci/with-postgres make fuzz)
	tests/fuzz/run

.PHONY: browser-test
browser-test: ## Test /docs, the guides and the example in headless Chromium
	tests/browser/run
	examples/board/test/run

.PHONY: sdk
sdk: ## Generate clients in five languages and use them against the server (some: make sdk SDK="go java")
	tests/sdk/run $(SDK)

.PHONY: openapi
openapi: ## Regenerate openapi/openapi.yaml and the API reference in the README from the code
	cargo run --locked --quiet -- openapi
