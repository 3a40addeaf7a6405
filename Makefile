# make demo    builds wrun and the guests, runs the main job on real input and shows the result
# make test    all tests
# make check   formatting and lints, as CI checks them
# make check-aarch64  lints for 64-bit Arm; needs Debian's gcc-aarch64-linux-gnu and libc6-dev-arm64-cross
# make doc     the documentation of the crates, into target/doc; warnings are errors
# make deny    licences and sources of dependencies; installs cargo-deny if there is none
# make package packs every crate that is published, and checks the packages
# make fuzz    the fuzzers, FUZZ_SECONDS (60) together
# make programs  the commands of docs/src/tasks/programs.md; downloads the programs, and skips what it cannot download
# make wasi-suite SUITE=CLONE  the public test suite of WASI preview 1, of which this is a clone
# make soak    a million tasks, good and hostile, while workers are killed (SOAK_TASKS, at most SOAK_SECONDS, SOAK_SEED)
# make bench   criterion's benches of the parts: ring, layouts, single tasks, windows
# make bench-peers    one table: wrun beside wasmtime, native threads, joblib and others; installs what that needs
# make bench-programs programs that others built, beside wasmtime's command; downloads them
# make bench-components  components in Python and JavaScript, beside wasmtime; downloads what builds them
# make bench-results  the parts and bench-peers, written to benches/RESULTS.md and benches/results.json
# make callgrind      the instructions that a task costs on its way through the ring, against the number that is committed
# make install  installs the command, completions and manual pages under DESTDIR and PREFIX (/usr/local)
# make reference  renews docs/src/reference/options.md from the command line's definition
# make guests  the example guests, into examples/guests/target/wasm
# make languages  the guests in C++, Go, AssemblyScript, Zig, Python, JavaScript and Lua, their tests, and a table of all languages' sizes and
#              speeds; skips languages whose tools are missing (.ci/toolchains installs Zig, Go and componentize-py)
# make snapshots  how long tasks take with a snapshot of an initializer and without one
# make book    the book in docs/, into target/book; installs mdBook if there is none

.PHONY: demo languages snapshots test check check-aarch64 doc deny package fuzz programs soak bench bench-components bench-peers bench-programs bench-results callgrind guests book toolchain build install reference wasi-suite

demo: build guests
	@examples/demo.sh

# The SDK's parts for Arrow and ndarray are compiled without optimisation, which takes a fraction of the time.
test: guests
	cargo test --release --workspace
	cargo test -p wrun-guest --all-features --lib

check: toolchain
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo clippy --release -p wrun-guest --all-features --target wasm32-wasip1 -- -D warnings
	cargo clippy --release -p wrun --no-default-features --lib -- -D warnings
	$(MAKE) -C examples/guests check test

# In the release profile, so that it shares its build scripts and macros with `check`. No code is generated.
check-aarch64: toolchain
	@rustup --quiet target add aarch64-unknown-linux-gnu
	cargo clippy --release --workspace --all-targets --target aarch64-unknown-linux-gnu -- -D warnings

doc: toolchain
	RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps
	RUSTDOCFLAGS="-D warnings" cargo doc --release -p wrun-guest --all-features --no-deps

# Not advisories, whose database CI cannot download; `cargo deny check` checks them as well.
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY = $(or $(shell command -v cargo-deny),target/cargo-deny/bin/cargo-deny)
# Without warnings, which tell of versions that dependencies do not agree on.
DENY = $(CARGO_DENY) --log-level error --locked
deny: toolchain
	@test -x $(CARGO_DENY) || .ci/install-cargo-deny $(CARGO_DENY_VERSION) target/cargo-deny
	$(DENY) --workspace --all-features check licenses bans sources
	$(DENY) --manifest-path examples/guests/Cargo.toml --config deny.toml check licenses bans sources
	$(DENY) --manifest-path fuzz/Cargo.toml --config deny.toml check licenses bans sources

package: toolchain
	.ci/package

# PROGRAMS names some of them, by words of their titles.
programs: build
	tests/programs/run.py $(PROGRAMS)

wasi-suite: build
	tests/programs/wasi_suite.py $(SUITE)

SOAK_TASKS ?= 1000000
SOAK_SECONDS ?= 180
SOAK_SEED ?= 1
soak: toolchain
	SOAK_TASKS=$(SOAK_TASKS) SOAK_SECONDS=$(SOAK_SECONDS) SOAK_SEED=$(SOAK_SEED) \
		cargo test --release --test soak -- --nocapture

FUZZ_SECONDS ?= 60
fuzz: toolchain
	fuzz/run -max_total_time=$$(( ($(FUZZ_SECONDS) + 1) / 2 ))
	WRUN_FUZZ_SEEDS=500 WRUN_FUZZ_CALLS=3000 cargo test -p wrun --lib own_files_fuzz

bench: guests
	cargo bench -p wrun-parts

# BENCH_WASMTIME=1 installs wasmtime's command as well, which takes minutes; it is used where it is there.
bench-peers: build guests
	benches/peers/run

bench-programs: build
	python3 benches/peers/driver/programs.py --compile

bench-components: build
	cargo build --quiet --release -p wrun-peers
	python3 benches/peers/driver/components.py

bench-results: build bench
	benches/peers/run --write --parts

callgrind: toolchain
	benches/parts/callgrind

build: toolchain
	cargo build --release

PREFIX ?= /usr/local
WRUN = $${CARGO_TARGET_DIR:-target}/release/wrun
SHARE = $(DESTDIR)$(PREFIX)/share
install: build
	install -D -m 755 $(WRUN) $(DESTDIR)$(PREFIX)/bin/wrun
	install -d $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	$(WRUN) completions bash > $(SHARE)/bash-completion/completions/wrun
	$(WRUN) completions zsh > $(SHARE)/zsh/site-functions/_wrun
	$(WRUN) completions fish > $(SHARE)/fish/vendor_completions.d/wrun.fish
	$(WRUN) man --output $(SHARE)/man/man1

reference: toolchain
	WRUN_BLESS=1 cargo test --release --bin wrun reference

languages: guests build
	examples/guests/languages
	cargo test --release -p wrun --test it languages::
	@WRUN=$(WRUN) examples/guests/compare

snapshots: build guests
	@examples/guests/dictionary/measure

guests: toolchain
	$(MAKE) --no-print-directory -C examples/guests

# Warnings of mdBook, which does not fail on them, are failures. What it needs is installed beside what is built.
MDBOOK_VERSION := 0.5.4
MDBOOK = $(or $(shell command -v mdbook),$(CURDIR)/target/mdbook/bin/mdbook)
book: toolchain
	@test -x $(MDBOOK) || cargo install --quiet --debug --locked --no-default-features --features search mdbook@$(MDBOOK_VERSION) --root target/mdbook
	@mkdir -p target
	@$(MDBOOK) build docs 2>target/mdbook.log || { cat target/mdbook.log >&2; exit 1; }
	@! grep -E 'WARN|ERROR' target/mdbook.log >&2
	@echo "target/book/index.html"

# Says nothing where everything is there.
toolchain:
	@rustup --quiet target add wasm32-wasip1 wasm32-wasip2 2>/dev/null || rustup target add wasm32-wasip1 wasm32-wasip2
