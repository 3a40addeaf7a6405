# make demo    builds wrun and the guests, runs the main job on real input and shows the result
# make test    all tests
# make check   formatting and lints, as CI checks them
# make fuzz    the fuzzers, FUZZ_SECONDS (60) together
# make guests  the example guests, into examples/guests/target/wasm

.PHONY: demo test check fuzz guests toolchain build

demo: build guests
	@examples/demo.sh

test: guests
	cargo test --release --workspace

check: toolchain
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo clippy --release -p wrun-guest --target wasm32-wasip1 -- -D warnings
	$(MAKE) -C examples/guests check test

FUZZ_SECONDS ?= 60
fuzz: toolchain
	fuzz/run -max_total_time=$$(( ($(FUZZ_SECONDS) + 1) / 2 ))

build: toolchain
	cargo build --release

guests: toolchain
	$(MAKE) --no-print-directory -C examples/guests

# Says nothing where everything is there.
toolchain:
	@rustup --quiet target add wasm32-wasip1 2>/dev/null || rustup target add wasm32-wasip1
