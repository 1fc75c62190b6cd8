# LumaDB Cloud. `make help` lists what can be made.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

export CARGO_TARGET_DIR ?= $(CURDIR)/target
# Queries are checked against the data committed in control-plane/.sqlx: no database is needed.
export SQLX_OFFLINE := true
unexport DATABASE_URL

# A PostgreSQL 18 of your own may stand in for the one that `make engine` installs.
engine_home := $(shell . scripts/lib.sh && echo "$$engine_home")
export LUMADB_ENGINE_DIR ?= $(engine_home)

# Arguments for `lumadb-cloud up`, as in  make run ARGS="--data-dir /srv/lumadb"
ARGS ?=

console := web-console/dist/index.html
console_sources := $(shell find web-console -type f \
	-not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

.PHONY: help
help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build everything and bring the whole cloud up on this machine
	exec "$(CARGO_TARGET_DIR)/release/lumadb-cloud" up $(ARGS)

.PHONY: build
build: packages-run engine console ## Build the programs (release) and prepare the engine
	cargo build --locked --release -p lumadb-cloud -p lumadb-node
	"$(CARGO_TARGET_DIR)/release/lumadb-node" engine-setup --engine-dir "$(LUMADB_ENGINE_DIR)"

.PHONY: test
test: packages-test engine lint console-test sqlx-check build-dev ## Run every check and every test
	LUMADB_TEST_VENV="$$(scripts/python.sh e2e/clients/requirements.txt)" \
	scripts/cargo_test.sh --locked --workspace --no-fail-fast
	$(MAKE) test-e2e

.PHONY: test-e2e
test-e2e: packages-test engine console build-dev node-packages kubernetes ## Run the tests across processes, with real clients and a browser
	LUMADB_TEST_VENV="$$(scripts/python.sh e2e/clients/requirements.txt)" \
	LUMADB_TEST_BIN="$(CARGO_TARGET_DIR)/debug" \
	scripts/cargo_test.sh --locked --workspace --test e2e

# Rounds of `make chaos`, and of which durability if not of both, as in  make chaos ROUNDS=20 DURABILITY=s3
ROUNDS ?= 200
DURABILITY ?=

.PHONY: chaos
chaos: packages-test engine console ## Lose databases with their disks under load, again and again; ROUNDS=200
	cargo build --locked --release -p lumadb-cloud -p lumadb-node
	"$(CARGO_TARGET_DIR)/release/lumadb-node" engine-setup --engine-dir "$(LUMADB_ENGINE_DIR)"
	LUMADB_TEST_BIN="$(CARGO_TARGET_DIR)/release" \
	LUMADB_CHAOS_ROUNDS="$(ROUNDS)" LUMADB_CHAOS_DURABILITY="$(DURABILITY)" \
	cargo test --locked --workspace --test e2e -- --ignored --nocapture oracle::chaos

# Minutes of `make chaos-billing` and of `make chaos-outage`
MINUTES ?= 10

.PHONY: chaos-outage
chaos-outage: packages-test engine console ## Write while the object store is away, then lose the disks; MINUTES=10
	cargo build --locked --release -p lumadb-cloud -p lumadb-node
	"$(CARGO_TARGET_DIR)/release/lumadb-node" engine-setup --engine-dir "$(LUMADB_ENGINE_DIR)"
	LUMADB_TEST_BIN="$(CARGO_TARGET_DIR)/release" LUMADB_CHAOS_MINUTES="$(MINUTES)" \
	cargo test --locked --workspace --test e2e -- --ignored --nocapture outage::chaos

.PHONY: chaos-billing
chaos-billing: packages-test engine console ## Kill everything while usage is counted and a month is charged; MINUTES=10
	cargo build --locked --release -p lumadb-cloud -p lumadb-node
	"$(CARGO_TARGET_DIR)/release/lumadb-node" engine-setup --engine-dir "$(LUMADB_ENGINE_DIR)"
	LUMADB_TEST_BIN="$(CARGO_TARGET_DIR)/release" LUMADB_CHAOS_MINUTES="$(MINUTES)" \
	cargo test --locked --workspace --test e2e -- --ignored --nocapture billing_drill::chaos

# Arguments for the benchmark, as in  make bench BENCH="pgbench --quick"
BENCH ?=

.PHONY: bench
bench: packages-bench build bench-tools ## Measure beside peers; BENCH="connect --quick" for a part
	cargo build --locked --release -p lumadb-bench
	LUMADB_TEST_BIN="$(CARGO_TARGET_DIR)/release" \
	"$(CARGO_TARGET_DIR)/release/lumadb-bench" --out "$(CARGO_TARGET_DIR)/bench" $(BENCH)

.PHONY: kubernetes
kubernetes: packages-test ## Build the Kubernetes API server that tests run against, Helm and a reader of PromQL, once
	scripts/kubernetes.sh >/dev/null
	scripts/helm.sh >/dev/null
	scripts/promql.sh >/dev/null

.PHONY: images
images: build ## Make the container images, without Docker, in target/images
	scripts/image.sh "$(CARGO_TARGET_DIR)/images"

.PHONY: kube
kube: build ## Run databases in a real Kubernetes: one made here (as root), or that of KUBECONFIG
	scripts/kube_up.sh

.PHONY: kube-check
kube-check: ## Check again that databases serve in the Kubernetes of `make kube`, and how soon
	scripts/kube_check.sh

.PHONY: kube-upgrade
kube-upgrade: ## Replace all programs in the Kubernetes of `make kube` while clients work, and count what breaks
	scripts/kube_upgrade.sh

.PHONY: kube-down
kube-down: ## End the Kubernetes of `make kube`, with its databases
	scripts/kube_down.sh

.PHONY: bench-tools
bench-tools:
	scripts/bench_tools.sh

.PHONY: lint
lint: packages-run console-packages ## Check formatting and lints
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cd web-console && npm run lint

.PHONY: fmt
fmt: ## Format the Rust code
	cargo fmt --all

.PHONY: engine
engine: packages-run ## Install PostgreSQL 18 with pgvector, and build our module for it
ifeq ($(LUMADB_ENGINE_DIR),$(engine_home))
	scripts/engine_install.sh
endif
	scripts/engine_module.sh "$(LUMADB_ENGINE_DIR)"

.PHONY: console
console: $(console) ## Build the web console

$(console): $(console_sources) web-console/node_modules/.package-lock.json
	cd web-console && npm run build
	touch $@

.PHONY: console-test
console-test: console ## Test the web console
	cd web-console && npm test
	cd web-console && npm run budget

.PHONY: sqlx
sqlx: engine ## Make control-plane/.sqlx anew, after a query or a migration changed
	scripts/sqlx_prepare.sh

.PHONY: sqlx-check
sqlx-check: engine
	scripts/sqlx_prepare.sh --check

.PHONY: build-dev
# All of the workspace each time: of a part, cargo builds its libraries with the features of that part.
build-dev: packages-run engine console
	cargo build --locked --workspace --bins --tests
	"$(CARGO_TARGET_DIR)/debug/lumadb-node" engine-setup --engine-dir "$(LUMADB_ENGINE_DIR)"

.PHONY: packages-run packages-test packages-bench
packages-run packages-test packages-bench: packages-%:
	@scripts/packages.sh $*

.PHONY: console-packages node-packages
console-packages: web-console/node_modules/.package-lock.json
node-packages: e2e/browser/node_modules/.package-lock.json

# npm writes this file last, so its date is that of the whole installation.
%/node_modules/.package-lock.json: %/package.json %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	touch $@
