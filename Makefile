# Commands for people. `make help` lists them.

CARGO   ?= cargo
PREFIX  ?= /usr/local
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release

# Everything that a plain machine can test: no artifact is run.
UNIT := -p ia2-core -p ia2-plan -p ia2-policy -p ia2-rt -p ia2-boot -p ia2-loader -p ia2-benches

# What check-vm runs: what depends on the kernel more than on programs.
VM_TESTS := c_programs attacks policy filters unprivileged

.DEFAULT_GOAL := all
.PHONY: all deps demo quick check check-vm lint attacks stress races fuzz bench install clean help

## all      build libia2shim.so, libia2shim.a, ia2 and ia2-loader under target/release, and plan this machine's libraries
all:
	$(CARGO) build --release -p ia2shim -p ia2shim-link -p ia2-loader
	@scripts/archive $(RELEASE)
	@$(RELEASE)/ia2 cache >/dev/null

## deps     install what demo and check run (apt, as root); silent when nothing is missing
deps:
	@scripts/deps

## demo     run a real program preloaded and show its statistics
demo:
	@scripts/deps python3 cc
	@$(MAKE) --no-print-directory all
	@scripts/demo $(RELEASE)

# rustfmt and clippy, warnings are errors
lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

## quick    formatting, lints, unit tests, C tests: for every commit, under three minutes
quick:
	@scripts/deps cc gcc objdump musl-gcc libseccomp
	@$(MAKE) --no-print-directory lint all
	$(CARGO) test $(UNIT)
	$(CARGO) test -p ia2-tests --test c_programs

## check    everything: deps, lints, unit tests, artifacts, C tests, real programs
check:
	@scripts/deps
	@$(MAKE) --no-print-directory lint all
	$(CARGO) test $(UNIT) -p ia2-tests --no-fail-fast

## check-vm the tests that depend on the kernel, with Debian 12's 6.1 in an emulated machine (scripts/vm)
# The C programs are compiled here first, since compilers are slow in there.
check-vm:
	@scripts/deps cc gcc musl-gcc busybox qemu-system-x86_64
	@$(MAKE) --no-print-directory all
	$(CARGO) run --quiet -p ia2-tests --bin precompile
	IA2_ARTIFACTS=$(abspath $(RELEASE)) IA2_TESTS_EMULATED=1 \
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=$(CURDIR)/scripts/vm \
		$(CARGO) test -p ia2-tests --no-fail-fast $(VM_TESTS:%=--test %)

## attacks  what is tried against the shim, and what becomes of it
attacks:
	@cat docs/threat-model.md

## stress   signal storms and random registers for minutes; SEED=, ROUNDS=, ONLY= repeat what failed
stress: SEED ?= $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
stress:
	@scripts/deps cc gcc musl-gcc
	@$(MAKE) --no-print-directory all
	IA2_STRESS_SEED=$(SEED) IA2_STRESS_ROUNDS=$(ROUNDS) $(CARGO) test -p ia2-tests --test stress -- $(ONLY)

## races    paths rewritten and links turned while calls are judged, ROUNDS= (1000000) of each; ONLY= is one of them
races: ROUNDS ?= 1000000
races:
	@scripts/deps cc gcc
	@$(MAKE) --no-print-directory all
	IA2_RACES_ROUNDS=$(ROUNDS) $(CARGO) test -p ia2-tests --test races -- $(ONLY)

## fuzz     texts at random to parser and compiler of policies, for MINUTES= (10); SEED=, ROUND= repeat what failed
fuzz: SEED ?= $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
fuzz: MINUTES ?= 10
fuzz:
	IA2_FUZZ_SEED=$(SEED) IA2_FUZZ_MINUTES=$(MINUTES) IA2_FUZZ_ROUND=$(ROUND) \
		$(CARGO) test -p ia2-policy --test fuzz -- --nocapture rounds

## bench    cost of one call, start-up, memory: one table, and out/bench.json
bench: all
	@scripts/deps cc libseccomp
	$(CARGO) build --release -p ia2-benches
	$(RELEASE)/ia2-bench --lib $(RELEASE)/libia2shim.so

## install  copy library, loader, header, ia2, manual pages, completions, documentation under PREFIX (default /usr/local)
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/share/doc/ia2shim
	install -m 755 $(RELEASE)/ia2 $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(RELEASE)/libia2shim.so $(RELEASE)/ia2-loader $(DESTDIR)$(PREFIX)/lib
	install -m 644 $(RELEASE)/libia2shim.a $(DESTDIR)$(PREFIX)/lib
	install -m 644 README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE $(wildcard docs/*.md) \
		scripts/gdb.py $(DESTDIR)$(PREFIX)/share/doc/ia2shim
	$(RELEASE)/ia2 man $(DESTDIR)$(PREFIX)/share/man
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,bash-completion/completions zsh/site-functions fish/vendor_completions.d)
	$(RELEASE)/ia2 completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ia2
	$(RELEASE)/ia2 completions zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_ia2
	$(RELEASE)/ia2 completions fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/ia2.fish
ifneq ($(wildcard shim/include/ia2shim.h),)
	install -d $(DESTDIR)$(PREFIX)/include
	install -m 644 shim/include/ia2shim.h $(DESTDIR)$(PREFIX)/include
endif
ifeq ($(DESTDIR),)
	@$(PREFIX)/bin/ia2 cache
endif

## clean    remove everything that was built
clean:
	$(CARGO) clean
	rm -rf out

## help     this list
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)
