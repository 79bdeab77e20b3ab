# What a developer, CI and a curious visitor run. `make` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

# Node 24 comes as a dev dependency: programs of this repository run with that one, whatever the machine has.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

# The cluster that cluster-* means; an image archive for cluster-load, an image reference for deploy.
NAME ?= demo
IMAGE ?=

##@ Two commands

.PHONY: demo
demo: node_modules/.installed ## A cluster, the operator, three real MCP servers and a policy, ending with calls that are allowed and refused. CLUSTER=current: the cluster of KUBECONFIG
	@CLUSTER="$(CLUSTER)" node scripts/demo.ts

.PHONY: demo-down
demo-down: node_modules/.installed ## Removes what `make demo` made
	@CLUSTER="$(CLUSTER)" node scripts/demo.ts down

.PHONY: test
test: node_modules/.installed ## Everything that CI runs: types, lint, generated files, unit, integration and end-to-end tests
	@node scripts/test.ts

##@ Development

.PHONY: test-unit
test-unit: node_modules/.installed ## Unit tests. FILTER=part of a path
	@node scripts/test.ts unit --filter="$(FILTER)"

.PHONY: test-integration
test-integration: node_modules/.installed ## Tests against a real API server. FILTER=part of a path
	@node scripts/test.ts integration --filter="$(FILTER)"

.PHONY: test-e2e
test-e2e: node_modules/.installed ## Tests with real pods (Linux, root). FILTER=part of a path
	@node scripts/test.ts e2e suites --filter="$(FILTER)"

.PHONY: check
check: node_modules/.installed ## Types
	@npm run --silent check

.PHONY: lint
lint: node_modules/.installed ## Lint and format
	@npm run --silent lint

.PHONY: format
format: node_modules/.installed ## Formats the sources
	@npm run --silent format

.PHONY: generate
generate: node_modules/.installed ## CRDs, RBAC, install manifest, API reference and editor schemas from the sources
	@npm run --silent generate

.PHONY: bundle
bundle: node_modules/.installed ## One file per program with its source map, into dist/
	@npm run --silent bundle

.PHONY: bench-operator
bench-operator: node_modules/.installed ## The operator's figures at 100, 1,000 and 5,000 servers (Linux, root), into bench/results
	@node bench/operator.bench.ts

.PHONY: bench-guard
bench-guard: node_modules/.installed ## The guard's figures beside a direct connection and a bare proxy, into bench/results
	@node bench/guard.bench.ts

.PHONY: fuzz
fuzz: node_modules/.installed ## Hostile callers and a hostile server around a guard. MINUTES=10, SEED=a number to repeat a run
	@node guard/fuzz/main.ts --minutes "$(or $(MINUTES),10)" $(if $(SEED),--seed "$(SEED)")

.PHONY: check-token-renewal
check-token-renewal: node_modules/.installed ## Waits once for the kubelet to renew the token of a server: ten minutes (Linux, root)
	@node e2e/token-renewal.ts

.PHONY: bench-policy
bench-policy: node_modules/.installed ## From a changed policy to the guards that enforce it, with real pods (Linux, root), into bench/results
	@node bench/policy.bench.ts

##@ Against the cluster of KUBECONFIG

.PHONY: install
install: node_modules/.installed ## The CRDs
	@node scripts/deploy.ts install

.PHONY: uninstall
uninstall: node_modules/.installed ## Removes the CRDs and with them every MCPServer
	@node scripts/deploy.ts uninstall

.PHONY: run
run: node_modules/.installed ## The operator on this machine; stop it with ^C. ARGS=flags of the operator
	@node --watch-path=operator --watch-path=api --watch-path=mcp --watch-path=compiler operator/main.ts $(ARGS)

.PHONY: image
image: node_modules/.installed ## The container image, into dist/image.tar: with Docker, else with buildah
	@node scripts/image.ts

.PHONY: deploy
deploy: $(if $(IMAGE),node_modules/.installed,image) ## The operator in the cluster; the image is built and loaded into ours and kind's. IMAGE=one that the cluster can pull
	@IMAGE="$(IMAGE)" node scripts/deploy.ts deploy

.PHONY: undeploy
undeploy: node_modules/.installed ## Removes the operator; the servers go on running
	@node scripts/deploy.ts undeploy

##@ Clusters of our own, without Docker (Linux, root)

.PHONY: cluster-up
cluster-up: node_modules/.installed ## Starts a cluster; its kubeconfig is .clusters/NAME/kubeconfig. NAME=demo
	@node e2e/cluster/main.ts up "$(NAME)"

.PHONY: cluster-load
cluster-load: node_modules/.installed ## Loads an image archive. NAME=demo IMAGE=archive.tar
	@node e2e/cluster/main.ts load "$(NAME)" "$(IMAGE)"

.PHONY: cluster-shell
cluster-shell: node_modules/.installed ## A shell in the cluster's network, with kubectl set up. NAME=demo
	@node e2e/cluster/main.ts shell "$(NAME)"

.PHONY: cluster-down
cluster-down: node_modules/.installed ## Stops a cluster and removes everything of it. NAME=demo
	@node e2e/cluster/main.ts down "$(NAME)"

.PHONY: cluster-status
cluster-status: node_modules/.installed ## What runs
	@node e2e/cluster/main.ts status

##@ Help

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo

# The first target of a fresh clone lands here: says what the machine lacks, then installs the pinned packages.
node_modules/.installed: package-lock.json package.json
	@command -v node >/dev/null || { echo "Node.js 20 or later is missing. On Debian or Ubuntu: apt-get install --yes nodejs npm; elsewhere: https://nodejs.org/en/download" >&2; exit 1; }
	@command -v npm >/dev/null || { echo "npm is missing. On Debian or Ubuntu: apt-get install --yes npm; elsewhere it comes with Node.js: https://nodejs.org/en/download" >&2; exit 1; }
	@if ! node scripts/installed.mjs; then \
	  test $$(node -p 'process.versions.node.split(".")[0]') -ge 20; \
	  echo "installing the packages of package-lock.json (half a minute)"; npm ci --no-audit --no-fund --loglevel=error; \
	fi
	@touch $@
