# What the suites need is installed into a cache once ($RUNNER_TEST_CACHE, or ~/.cache/runner); they start their servers
# themselves, on free ports, and stop them. Many tests wait for those, so more run at a time than there are cores.

.PHONY: test test-crash test-faults test-upstream demo-real check docs deny fuzz

test:
	RUNNER_MOTO_PYTHON="$$(tests/moto/setup.sh)" && export RUNNER_MOTO_PYTHON && \
	RUNNER_KUBERNETES="$$(tests/kubernetes/setup.sh)" && export RUNNER_KUBERNETES && \
	RUNNER_CHROMIUM="$$(tests/chromium/setup.sh)" && export RUNNER_CHROMIUM && \
	RUST_TEST_THREADS="$${RUST_TEST_THREADS:-4}" cargo test --locked

# Runs that are killed at each of their calls, and disturbed at each: more of them than `make test` has, and over the whole
# platform, at each of its writes. They print what was swept. Of the platform's calls from nothing a share is taken, six
# cases; CRASH_SHARD=3/40 asks for another: the fourth of forty shares, which are counted from 0.
test-crash:
	RUNNER_MOTO_PYTHON="$$(tests/moto/setup.sh)" && export RUNNER_MOTO_PYTHON && \
	RUNNER_KUBERNETES="$$(tests/kubernetes/setup.sh)" && export RUNNER_KUBERNETES && \
	cargo test --test it crash_ -- --ignored --nocapture --test-threads 1

# Every fault on the wire at every call of the network phase; `test` takes some calls of each. Its lines are a table.
test-faults:
	RUNNER_MOTO_PYTHON="$$(tests/moto/setup.sh)" && export RUNNER_MOTO_PYTHON && \
	RUNNER_SWEEP=full RUST_TEST_THREADS="$${RUST_TEST_THREADS:-2}" cargo test --test it faults:: -- --nocapture

# The whole platform in one run, against servers on this machine that speak like AWS, Kubernetes and Cloudflare.
demo-real:
	@RUNNER_MOTO_PYTHON="$$(tests/moto/setup.sh)" && export RUNNER_MOTO_PYTHON && \
	RUNNER_KUBERNETES="$$(tests/kubernetes/setup.sh)" && export RUNNER_KUBERNETES && \
	cargo test --quiet --test it demo_real -- --ignored --nocapture

check:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

# The reference is generated from the kinds, the schema of a plan from its types; tests compare.
docs:
	cargo run --quiet -- doc --markdown > docs/reference.md
	cargo run --quiet -- doc --schema > docs/plan.schema.json

# The platform with Argo CD's own manifest, from the web or from runner's cache, in place of the one that stands in for it.
test-upstream:
	RUNNER_MOTO_PYTHON="$$(tests/moto/setup.sh)" && export RUNNER_MOTO_PYTHON && \
	RUNNER_KUBERNETES="$$(tests/kubernetes/setup.sh)" && export RUNNER_KUBERNETES && \
	RUNNER_UPSTREAM=1 cargo test --test it cli_platform

# Licences, advisories, duplicates, a second TLS stack: see deny.toml.
deny:
	.ci/deny

# Needs a C++ compiler, for libFuzzer, and no more than the stable Rust: `fuzz/instrument` counts branches in what reads
# input, with no sanitizer, which finds no more in safe code. The first time builds all that runner needs into a folder of
# its own. What is found goes to fuzz/corpus/$(TARGET)/ and is tried by every `make test`; the targets are in fuzz/targets.rs.
TARGET ?= playbook
SECONDS ?= 60
FUZZ = target/fuzz
fuzz:
	cp Cargo.lock fuzz/Cargo.lock
	RUSTC_WRAPPER="$$PWD/fuzz/instrument" CARGO_TARGET_DIR="$$PWD/$(FUZZ)" CARGO_INCREMENTAL=0 \
	cargo build --manifest-path fuzz/Cargo.toml --bin $(TARGET)
	mkdir -p $(FUZZ)/corpus/$(TARGET)
	$(FUZZ)/debug/$(TARGET) -max_total_time=$(SECONDS) -max_len=65536 -timeout=60 -rss_limit_mb=4096 \
	-artifact_prefix=fuzz/corpus/$(TARGET)/ $(FUZZ)/corpus/$(TARGET) fuzz/corpus/$(TARGET)
