# make run    build, and serve the demo app on HTTPS and HTTP
# make test   build, and pass every test
# make bench  measure beside nginx, HAProxy and the Python servers (ROWS=keepalive ROUNDS=3 selects)
#
# Each installs what it needs and is missing: Debian packages, and Python packages into a folder of this project.

BUILD_PACKAGES := libssl-dev libc-ares-dev
TEST_PACKAGES  := python3 python3-venv curl openssl strace
BENCH_PACKAGES := python3 python3-venv python3-dev gcc openssl strace valgrind \
                  nginx haproxy wrk nghttp2-client uwsgi-core uwsgi-plugin-python3

# Each file tries one part of the contract against the release binary.
SCENARIOS := Tests/Scenarios

PYTEST := .venv/bin/python -m pytest
CONF   ?= conf/demo.yaml
ROWS   ?= all
ROUNDS ?= 5

.PHONY: run test bench release units scenarios tidy

run: release
	exec .build/release/proxy --conf $(CONF)

test: .venv release units
	$(PYTEST) --numprocesses 4 --dist worksteal Tests/Tidy Tests/AppHost
	$(PYTEST) --numprocesses 4 --dist worksteal $(SCENARIOS)

bench: release
	@.ci/debian-packages $(BENCH_PACKAGES)
	@.ci/python-environment .bench/venv Tests/Bench/requirements.txt
	.bench/venv/bin/python Tests/Bench --rows $(ROWS) --rounds $(ROUNDS)

# The one binary that runs, is tried by the scenarios, and is measured.
release: build-packages
	swift build -c release --static-swift-stdlib --product proxy

# Debug: the units, with every check of the language on.
units: build-packages
	swift test --parallel

scenarios: .venv release
	$(PYTEST) --numprocesses 4 --dist worksteal $(SCENARIOS)

tidy: .venv
	$(PYTEST) Tests/Tidy

.PHONY: build-packages .venv
build-packages:
	@.ci/debian-packages $(BUILD_PACKAGES)
	@command -v swift >/dev/null || { echo "swift is not on the PATH: install Swift 6.3 or later" >&2; exit 1; }

.venv:
	@.ci/debian-packages $(TEST_PACKAGES)
	@.ci/python-environment .venv Tests/requirements.txt
