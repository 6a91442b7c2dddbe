# Every target installs what it is missing: npm and any Node from 20 on are enough. The programs, tests and tools run on
# the Node that package.json pins (node_modules/.bin/node); the system's Node only runs npm.
# Settings are given behind the target: `make bench ONLY=durable-e2e`, `make demo KEEP=1`, `make soak ROUNDS=500`.

.DEFAULT_GOAL := help
.PHONY: help install demo test bench profile check check-types check-lint check-imports format soak clean

BIN := $(CURDIR)/node_modules/.bin
# A recipe's programs look here first; npm itself must not, because it replaces this folder.
RUN := PATH="$(BIN):$$PATH"
# npm writes the first as its last act; tap's plugins are built once per install and configuration. Two makes take turns.
INSTALLED := node_modules/.package-lock.json
TAP_BUILT := node_modules/.tap-built

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(INSTALLED) ## Install the pinned Node and the packages (the others do it by themselves)

demo: $(INSTALLED) ## Move real records through agents and a hub that gets killed (KEEP=1 leaves it running)
	@$(RUN) node --disable-warning=ExperimentalWarning test/demo/main.ts

test: $(INSTALLED) $(TAP_BUILT) ## Run all tests (ONLY=protocol/frame: those whose path contains it)
	@$(RUN) node test/toolchain/run.ts $(ONLY)

bench: $(INSTALLED) ## Measure, a quarter of an hour (ONLY=durable-e2e: one scenario)
	@$(RUN) node --disable-warning=ExperimentalWarning bench/harness.ts

profile: $(INSTALLED) ## Write CPU profiles of hub, producer and consumer, and say what took the time
	@$(RUN) node --disable-warning=ExperimentalWarning bench/profile.ts

check: check-types check-lint check-imports ## Check types, lint, format and import directions

check-types: $(INSTALLED)
	@$(RUN) tsc --noEmit -p .

check-lint: $(INSTALLED)
	@$(RUN) biome check --error-on-warnings .

check-imports: $(INSTALLED)
	@$(RUN) node test/toolchain/imports.ts

format: $(INSTALLED) ## Format, sort imports and mend what lint can mend safely
	@$(RUN) biome check --write .

soak: $(INSTALLED) ## Kill and restart under load for a long time (ROUNDS=500)
	@$(RUN) node --disable-warning=ExperimentalWarning test/crash/soak.ts

clean: ## Remove what the other targets left behind, except node_modules
	rm -rf .demo .tap bench/.work

$(INSTALLED): package-lock.json
	@sh test/toolchain/install packages

$(TAP_BUILT): $(INSTALLED) .taprc
	@sh test/toolchain/install tap
