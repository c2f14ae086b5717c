# The commands for development. `make` alone lists the targets.
SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-builtin-rules --no-print-directory

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BIN     := $(CURDIR)/.cache/bin

# Our own builds use encoding/json/v2; the runtime falls back to encoding/json where the experiment is off.
JSONV2  := GOEXPERIMENT=jsonv2
GOBUILD := CGO_ENABLED=0 $(JSONV2) go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

GOLANGCI_LINT := $(BIN)/golangci-lint-2.15.0
GORELEASER    := $(BIN)/goreleaser-2.16.0
NEST          := v12 v11 v10 apps
NEST_READY    := $(NEST:%=testdata/nest/%/node_modules/.package-lock.json)

FUZZTIME   ?= 60s
COUNT      ?= 50
EVERYTHING := github.com/msctl/msctl/...
PACKAGES   ?= $(EVERYTHING)

# The folders of all modules (go.work), for tools that do not take package paths.
MODULES := . internal/test/deploy internal/test/testenv runtime runtime/gateway runtime/micronats runtime/microrabbit runtime/microredis runtime/telemetry

.PHONY: help build demo pictures test test-all stress nest lint lint-tools fuzz bench bench-growth bench-load tidy release-check clean FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/msctl
	$(GOBUILD) -o bin/msctl ./cmd/msctl

demo: build ## create, run, call, bench, and stop a workspace in a temporary folder
	@testdata/demo.sh bin/msctl

pictures: build ## create the pictures in docs/images from a real terminal (tmux)
	@mkdir -p .cache && go build -o .cache/ansisvg ./internal/dev/ansisvg
	@testdata/pictures.sh bin/msctl .cache/ansisvg

test: .cache/brokers .cache/testsum ## run lint, all tests, and the coverage check of runtime/ (at least 90%)
	@peers=$$(testdata/test-tools.sh); env $$peers .cache/brokers testdata/test.sh $(PACKAGES) | .cache/testsum

test-all: ## also run NestJS 10 and 11 on brokers, and other long tests
	@MSCTL_TEST_ALL=1 $(MAKE) test

stress: .cache/brokers .cache/testsum ## run each test of PACKAGES COUNT times (50) while the CPU is busy
	@testdata/stress.sh $(COUNT) $(filter-out $(EVERYTHING),$(PACKAGES)) | .cache/testsum

.cache/brokers .cache/testsum: FORCE
	@mkdir -p .cache && go build -o $@ ./internal/dev/$(@F)

nest: # NestJS for the interoperability tests, from the lock files
	@$(MAKE) -s -j3 $(NEST_READY)

testdata/nest/%/node_modules/.package-lock.json: testdata/nest/%/package-lock.json
	@cd testdata/nest/$* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && touch node_modules/.package-lock.json

lint-tools: $(GOLANGCI_LINT) # built from source: its first build takes minutes

# The libraries of Kubernetes take minutes to compile, and msctl is released without internal/test/deploy.
lint: lint-tools ## run golangci-lint, gofmt, and vet for every released system
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo 'not gofmt-ed:'; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go run ./internal/dev/prose
	$(JSONV2) $(GOLANGCI_LINT) run $(MODULES:%=./%/...)
	GOOS=windows go vet $$(go list $(EVERYTHING) | grep -v internal/test/deploy)
	GOOS=darwin go vet $$(go list $(EVERYTHING) | grep -v internal/test/deploy)

fuzz: ## run every fuzz target for FUZZTIME (60s)
	@for pkg in $$(go list github.com/msctl/msctl/...); do \
	  for target in $$($(JSONV2) go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; \
	    $(JSONV2) go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

bench: ## compare the CPU time per message with NestJS 12 on this machine
	@$(MAKE) nest || echo 'make bench: npm cannot install NestJS' >&2
	@$(JSONV2) go run ./internal/dev/peerbench $(BENCHFLAGS)

bench-growth: ## measure how the CPU time per message grows, and write it to docs/performance.md
	@$(JSONV2) go run ./internal/dev/peerbench -growth docs/performance.md $(BENCHFLAGS)

bench-load: build ## compare msctl bench as a load generator with vegeta and, if installed, wrk
	@$(JSONV2) go run ./internal/dev/loadbench $(BENCHFLAGS)

tidy: ## run go mod tidy in every module
	go run ./internal/dev/modules tidy
	cd internal/dev/peers && GOWORK=off go mod tidy

release-check: $(GORELEASER) ## run goreleaser check
	$(GORELEASER) check

clean: ## remove everything that the other targets create
	rm -rf bin dist .cache $(NEST:%=testdata/nest/%/node_modules)

$(GOLANGCI_LINT):
	$(call install,golangci-lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0,$@)

$(GORELEASER):
	$(call install,goreleaser,github.com/goreleaser/goreleaser/v2@v2.16.0,$@)

# Tools are not tool lines in go.mod, because their dependencies would then affect the versions of ours.
define install
@mkdir -p $(BIN)
GOBIN=$(BIN) go install $(2)
@mv $(BIN)/$(1) $(3)
endef
