# The front door. Every target is one line that calls a script or a CMake preset.
.DEFAULT_GOAL := help
.PHONY: help demo check check-sanitizers release deb check-package bench lint fuzz format clean

help: ## this list
	@sed -n 's/^\([a-z-]*\): .*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

demo: ## watch a mailbox move between two private servers, then clean up
	@scripts/demo

check: ## build and run every test: unit, transcript, integration, fault, house rules
	@scripts/check

check-sanitizers: ## the tests again under the address and thread sanitizers
	@scripts/check-sanitizers

release: ## build/release/postferry, the program that users run
	@scripts/release

deb: ## build/packages/postferry_VERSION_amd64.deb, with systemd units
	@scripts/package

check-package: ## install, upgrade and purge the package in a clean Debian that is booted for it
	@scripts/check-package

bench: ## measure against other tools and against the limit of the servers
	@scripts/bench

lint: ## clang-format, clang-tidy and the include rules over everything
	@scripts/lint

fuzz: ## run each fuzzer for a minute (SECONDS_EACH=600 for longer)
	@scripts/fuzz "$${SECONDS_EACH:-60}"

format: ## rewrite every source file in the house's format
	@scripts/format

clean: ## remove everything that was built
	@rm -rf build bench/work
