# `make demo` and `make test` are all that a fresh Debian 12 machine with a Rust toolchain needs.
.DEFAULT_GOAL := help
PREFIX ?= /usr/local
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help setup build test demo bench conformance install clean

help:
	@echo "make demo         build, then the whole journey: photographs to a bmodel and its report"
	@echo "make test         build and run all tests"
	@echo "make build        build the commands into build/bin"
	@echo "make bench        side by side with the reference (set TPUC_REFERENCE to its virtual environment, TPUC_REFERENCE_115 to that of version 1.15)"
	@echo "make conformance  only the tests that compare with the vendor's runtime"
	@echo "make install      copy the commands to PREFIX/bin ($(PREFIX))"
	@echo "make clean        remove everything that was built"

setup:
	@bash scripts/setup.sh

build: setup
	$(CARGO) build --release -p tpuc
	@sh tools/link.sh $(TARGET)/release/tpuc build/bin

test: build
	@python3 scripts/test.py

demo: build
	@bash demo/run.sh

bench: build
	@python3 benches/compare.py

conformance: setup
	@bash scripts/vendor-libs.sh build/vendor
	TPUC_BMRT_DIR=$(CURDIR)/build/vendor/bm1684x $(CARGO) test --release -p tpuc-runtime -p tpuc-isa -p tpuc-passes

install: build
	install -d $(PREFIX)/bin $(PREFIX)/lib/tpuc
	install $(TARGET)/release/tpuc $(PREFIX)/lib/tpuc/tpuc
	@sh tools/link.sh $(PREFIX)/lib/tpuc/tpuc $(PREFIX)/bin

clean:
	$(CARGO) clean
	rm -rf build
