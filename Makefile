# Everything a contributor runs. "make" alone prints what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Debian installs brokers in sbin, and Go's archive is unpacked to /usr/local/go.
export PATH := $(PATH):/usr/local/go/bin:/usr/sbin:/sbin

# One set of build flags everywhere: another one means that the packages of
# Kubernetes, the control plane of the tests with them, are compiled again.
# Only the race detector needs cgo.
export CGO_ENABLED := 0
export GOFLAGS := $(strip $(filter-out -buildvcs=false,$(GOFLAGS)) -buildvcs=false)
export GOWORK := off

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE ?= ghcr.io/weir-sh/weir:$(VERSION)
LDFLAGS := -s -w -X main.version=$(VERSION)

PKG ?=
RUN ?=
NAME ?=
N ?= 100

CONTROLLER_GEN := go tool -modfile=tools/controller-gen/go.mod controller-gen
GOLANGCI_LINT := go tool -modfile=tools/golangci-lint/go.mod golangci-lint
# Run in test/cluster, which is a module of its own.
CLUSTER_LINT := go tool -modfile=../../tools/golangci-lint/go.mod golangci-lint
STAGE := hack/stage
ONLY = $(if $(RUN),-run '$(RUN)')
# Tests of these packages need the control plane and the tag e2e.
E2E := ./internal/testcluster ./internal/hpacheck ./test/e2e/...
# The packages whose tests have a flag -update.
GOLDEN = $(shell grep -rl --include='*_test.go' 'Bool."update"' pkg internal cmd | xargs -n1 dirname | sort -u | sed 's|^|./|')
IS_E2E = $(findstring test/e2e,$(PKG))$(findstring internal/testcluster,$(PKG))$(findstring internal/hpacheck,$(PKG))

.PHONY: help
help: ## Print this help.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile
	@printf '\nVariables: PKG=./pkg/engine/... RUN=TestName for test, update and flake; N=%s for flake;\nDEMO_KEEP=1 for demo; VERSION and IMAGE for build and image.\n' '$(N)'

##@ See it work

.PHONY: demo
demo: deps ## Start a cluster, brokers and weir here, and watch real messages scale real workers.
	@go run ./internal/demo

.PHONY: bench
bench: deps ## Measure weir against its budgets; writes docs/benchmarks.md.
	@go run ./internal/bench --write

##@ Prove it

.PHONY: test
test: deps ## Run all tests, or those of PKG= that match RUN=.
ifeq ($(PKG),)
	@$(MAKE) test-unit test-e2e test-extras
else ifneq ($(findstring test/integration,$(PKG)),)
	@$(MAKE) test-extras
else ifneq ($(IS_E2E),)
	@$(STAGE) "tests of $(PKG) on a real control plane" go test -tags e2e -count=1 -v -timeout 30m $(ONLY) $(PKG)
else
	@CGO_ENABLED=1 $(STAGE) "tests of $(PKG) with the race detector" go test -race -timeout 10m $(ONLY) $(PKG)
endif

.PHONY: test-unit
test-unit: deps
	@CGO_ENABLED=1 $(STAGE) "unit tests with the race detector (the first build takes a few minutes)" go test -race -timeout 10m $(ONLY) ./...

.PHONY: test-e2e
test-e2e: deps
	@$(STAGE) "build of the control plane (the first takes about 10 minutes)" go run ./internal/testcluster/build -kwok
	@$(STAGE) "tests on a real control plane" go test -tags e2e -count=1 -p 1 -v -timeout 40m $(ONLY) $(E2E)
	@cd test/cluster && ../../$(STAGE) "tests of the control plane itself" go test -timeout 10m $(ONLY) ./...

.PHONY: test-extras
test-extras: ## Test against a real Kafka, azurite and fauxqs, as far as they can be fetched.
	@$(STAGE) "servers from Maven Central and npm" hack/extras
	@$(STAGE) "tests against them" go test -tags integration -count=1 -v -timeout 10m $(ONLY) ./test/integration

.PHONY: check
check: deps ## What must pass before a commit: generated files, format, lint, vet, imports, unit tests.
	@hack/unchanged $(MAKE) generate fmt
	@$(MAKE) lint vet archtest test-unit

.PHONY: lint
lint: ## Run golangci-lint as .golangci.yaml says.
	@$(STAGE) "lint (the first run builds the linter: a few minutes)" $(GOLANGCI_LINT) run ./...
	@# The other linters would analyse the source of all of Kubernetes there, in 10 GB of memory.
	@cd test/cluster && ../../$(STAGE) "lint of test/cluster" $(CLUSTER_LINT) run --fast-only ./...

.PHONY: vet
vet: ## Run go vet, also on the tests behind the tags e2e and integration.
	@$(STAGE) "vet" go vet -tags e2e,integration ./...

.PHONY: archtest
archtest: ## Check the import diagram. It learns of imports from a child process, so never from the cache.
	@$(STAGE) "import diagram" go test -count=1 ./internal/archtest

.PHONY: flake
flake: deps ## Run the tests of PKG= N= times with the race detector, stopping at the first failure.
	@[ -n "$(PKG)" ] || { echo "flake: say which package, as in: make flake PKG=./pkg/engine N=200" >&2; exit 2; }
	@CGO_ENABLED=1 $(STAGE) "$(N) runs of $(PKG)" go test -race -count=$(N) -failfast -timeout 60m $(ONLY) $(PKG)

##@ Change it

.PHONY: deps
deps: ## Install what is missing of: redis-server, redis-sentinel, rabbitmq-server, gcc (Debian or Ubuntu).
	@hack/deps

.PHONY: generate
generate: ## Write what is generated: deepcopy, CRDs, scaler list, references, schema, deploy/weir.yaml.
	@$(STAGE) "generate: API types and CRDs" $(CONTROLLER_GEN) object crd paths=./pkg/api/v1alpha1 output:crd:dir=deploy/crds
	@go run ./internal/gen/crd
	@$(STAGE) "generate: API reference" go run ./internal/gen/reference
	@go run ./internal/gen/scalerlist
	@$(STAGE) "generate: scaler reference and schema" go run ./internal/gen/scalers
	@$(STAGE) "generate: command line reference" go run ./internal/gen/cli
	@go run ./internal/gen/deploy

.PHONY: fmt
fmt: ## Format all Go code with gofumpt and gci.
	@$(STAGE) "format" $(GOLANGCI_LINT) fmt

.PHONY: new-scaler
new-scaler: ## Begin a scaler of type NAME=: a package that passes its test, and an example.
	@[ -n "$(NAME)" ] || { echo "new-scaler: say its type, as in: make new-scaler NAME=my-queue" >&2; exit 2; }
	@go run ./internal/gen/newscaler "$(NAME)"

.PHONY: update
update: ## Rewrite the golden files of PKG= (default: all that have some). Review the diff.
	@$(STAGE) "update golden files" go test $(ONLY) $(or $(PKG),$(GOLDEN)) -update

##@ Ship it

.PHONY: build
build: ## Build bin/weir, a static binary.
	@go build -ldflags '$(LDFLAGS)' -o bin/weir ./cmd/weir

.PHONY: image
image: ## Build the container image IMAGE= with docker.
	@docker build -f deploy/Dockerfile --build-arg VERSION='$(VERSION)' -t '$(IMAGE)' .

.PHONY: clean
clean: ## Remove what was built here. Go's caches and the cached control plane stay.
	@rm -rf bin coverage.out
