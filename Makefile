# make demo    builds wrun and the guests, runs the main job on real input and shows the result
# make test    all tests
# make check   formatting and lints, as CI checks them
# make guests  the example guests, into examples/guests/target/wasm

.PHONY: demo test check guests toolchain build

demo: build guests
	@examples/demo.sh

test: guests
	cargo test --release --workspace

check: toolchain
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo clippy --release -p wrun-guest --target wasm32-wasip1 -- -D warnings
	$(MAKE) -C examples/guests check test

build: toolchain
	cargo build --release

guests: toolchain
	$(MAKE) --no-print-directory -C examples/guests

# Says nothing where everything is there.
toolchain:
	@rustup --quiet target add wasm32-wasip1 2>/dev/null || rustup target add wasm32-wasip1
