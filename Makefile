# Every target is one line; what is longer is a script in hack/.
SHELL := /bin/bash
.DEFAULT_GOAL := build

.PHONY: build agent unit fuzz lint vuln verify generate dist krew cluster cluster-down e2e extended faults bench demo test clean help

build: agent          ## bin/kubectl-runtime, the plugin with both agents in it
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/kubectl-runtime ./cmd/kubectl-runtime

agent:                ## the agents for linux/amd64 and linux/arm64, to be embedded in the plugin
	hack/make/agent

unit: agent           ## the fast tests: everything that needs no cluster
	go test ./...

fuzz:                 ## every fuzz target for ten seconds (FUZZTIME)
	hack/make/fuzz

lint:                 ## golangci-lint, gofmt, shell syntax
	hack/make/lint

vuln:                 ## govulncheck, where its database can be reached
	hack/make/vuln

generate:             ## docs that are made from the code
	go run ./hack/gendocs -write

verify:               ## what is generated is up to date, the module is tidy
	hack/make/verify

dist: agent           ## a release in dist/: archives, checksums, krew's manifests (PLATFORMS=linux/amd64 for one)
	hack/make/dist

krew: agent           ## installs the plugin by krew, from an archive as a release has it (PLATFORMS)
	hack/make/krew

cluster:              ## a kind cluster whose nodes hold containerd, CRI-O and Docker
	hack/cluster/up

cluster-down:         ## removes that cluster
	hack/cluster/down

e2e: build cluster    ## the verbs on that cluster (RUN=TestName for one of them)
	hack/make/e2e

extended: build       ## what takes longer than test, on a cluster of four workers, a part at a time (PART; FORCE=1 repeats what was green)
	hack/make/extended

faults: build         ## all of extended anew: every fault, random ones, every pair of runtimes
	FORCE=1 hack/make/extended

bench: build cluster-down ## check and status on a large cluster beside kubectl (SCALE); switches beside the same by hand
	hack/make/scale $(SCALE)
	hack/cluster/up
	TIMEOUT=60m RUN='^Test(Start)?Figures$$' hack/make/e2e

demo: build cluster   ## status, dry run, switch, a switch that fails, rollback: for real
	hack/demo

test:                 ## everything
	hack/make/test

clean:                ## removes what was built in the checkout
	rm -rf bin dist pkg/hostpod/agentbin/bin/*.gz

help:                 ## this list
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed -E 's/^([a-z0-9-]+):[^#]*## */\1\t/' | expand -t 16
