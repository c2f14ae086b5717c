# Everything a developer types. `make` alone lists the targets.
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
NEST          := v12 v11 v10
NEST_READY    := $(NEST:%=testdata/nest/%/node_modules/.package-lock.json)

FUZZTIME  ?= 60s
TESTFLAGS ?= -race -timeout 25m
PACKAGES  ?= github.com/msctl/msctl/...

# The folders of all modules (go.work), for tools that do not take package paths.
MODULES := . internal/test/testenv runtime runtime/gateway runtime/micronats runtime/microrabbit runtime/microredis

.PHONY: help build demo pictures test test-tools nest lint fuzz bench bench-load cover tidy release-check clean FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/msctl
	$(GOBUILD) -o bin/msctl ./cmd/msctl

demo: build ## scaffold, run, call, bench and stop a workspace in a temporary folder
	@testdata/demo.sh bin/msctl

pictures: build ## the pictures of docs/bench.md anew, from a real terminal (tmux)
	@mkdir -p .cache && go build -o .cache/ansisvg ./internal/dev/ansisvg
	@testdata/pictures.sh bin/msctl .cache/ansisvg

test: test-tools nest .cache/brokers ## every test, with the race detector, with and without encoding/json/v2
	@export MSCTL_TEST_NEST=required MSCTL_TEST_NETWORK=required MSCTL_TEST_BROKERS=required; \
	{ status=0; trap "exit 130" INT; \
	  $(JSONV2) .cache/brokers go test -json $(TESTFLAGS) $(PACKAGES) || status=$$?; \
	  GOEXPERIMENT= .cache/brokers go test -json $(TESTFLAGS) github.com/msctl/msctl/runtime/... || status=$$?; \
	  exit $$status; } | go run ./internal/dev/testsum

test-tools: # what the tests need beside Go: installed where we may, named where we may not
	@testdata/test-tools.sh

.cache/brokers: FORCE # runs a command with a RabbitMQ for its tests
	@mkdir -p .cache && go build -o $@ ./internal/dev/brokers

nest: # the NestJS peers of the interoperability tests, from their lock files
	@$(MAKE) -s -j3 $(NEST_READY)

testdata/nest/%/node_modules/.package-lock.json: testdata/nest/%/package-lock.json
	@cd testdata/nest/$* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && touch node_modules/.package-lock.json

lint: $(GOLANGCI_LINT) ## golangci-lint, gofmt and vet for every system we release for
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo 'not gofmt-ed:'; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(JSONV2) $(GOLANGCI_LINT) run $(MODULES:%=./%/...)
	GOOS=windows go vet github.com/msctl/msctl/...
	GOOS=darwin go vet github.com/msctl/msctl/...

fuzz: ## every fuzz target, FUZZTIME (60s) each
	@for pkg in $$(go list github.com/msctl/msctl/...); do \
	  for target in $$($(JSONV2) go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; \
	    $(JSONV2) go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

bench: nest ## speed against NestJS 12 on this machine, as ratios
	@$(JSONV2) go run ./internal/dev/peerbench $(BENCHFLAGS)

bench-load: build ## msctl bench as a load generator, against vegeta and (if installed) wrk
	@$(JSONV2) go run ./internal/dev/loadbench $(BENCHFLAGS)

cover: test-tools nest .cache/brokers ## coverage of runtime/, at least 90 %
	MSCTL_TEST_NEST=required MSCTL_TEST_BROKERS=required $(JSONV2) .cache/brokers go test -coverpkg=github.com/msctl/msctl/runtime/... -coverprofile=.cache/cover.out github.com/msctl/msctl/runtime/...
	@go tool cover -func=.cache/cover.out | awk '/^total:/ {sub("%", "", $$3); print "runtime/ coverage " $$3 " %, wanted 90"; exit $$3 < 90}'

tidy: ## go mod tidy in every module
	go run ./internal/dev/modules tidy

release-check: $(GORELEASER) ## goreleaser check
	$(GORELEASER) check

clean: ## remove what the other targets made
	rm -rf bin dist .cache $(NEST:%=testdata/nest/%/node_modules)

$(GOLANGCI_LINT):
	$(call install,golangci-lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0,$@)

$(GORELEASER):
	$(call install,goreleaser,github.com/goreleaser/goreleaser/v2@v2.16.0,$@)

# Tools are installed beside the code, never as tool lines of go.mod: their dependencies would choose ours.
define install
@mkdir -p $(BIN)
GOBIN=$(BIN) go install $(2)
@mv $(BIN)/$(1) $(3)
endef
