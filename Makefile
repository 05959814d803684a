# `make demo` and `make test` need nothing but Python 3.10 or newer; the rest is installed into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-avx2 check lint format clean
.DEFAULT_GOAL := help

.PHONY: help
help:
	@echo "make demo    install, then search cells for handwritten digits (about 3 minutes, once installed)"
	@echo "make test    install, then run all tests"
	@echo "make check   lint, types and tests: what a change has to pass"
	@echo "make test-avx2   the networks' tests as on a CPU without AVX-512, with checked memory"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed, this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing optuna-nas and what it needs into $(VENV) ..."
	$(PIP) --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing optuna-nas and its development tools into $(VENV) ..."
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/optuna-nas search --study demo --storage sqlite:///demo.db --data digits \
		--train-size 200 --validation-size 600 --trials 60 --more 5 --workers 2 \
		--epochs 12 --batch-size 32 --channels 4 --cells 1
	$(BIN)/optuna-nas report --study demo --storage sqlite:///demo.db
	@echo
	@echo "Where to look:"
	@echo "  the report             demo-report.html, in a browser"
	@echo "  each trial's pictures  $(BIN)/optuna-nas dashboard --study demo --storage sqlite:///demo.db"
	@echo "Run make demo again to go on with the same study."

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses auto

# oneDNN, torch and OpenBLAS choose other kernels on other CPUs (docs/upstream_faults.md). On this
# CPU choose those of most desktops, under glibc's allocator that finds writes past an array's end.
test-avx2: export ONEDNN_MAX_CPU_ISA = AVX2
test-avx2: export ATEN_CPU_CAPABILITY = avx2
test-avx2: export OPENBLAS_CORETYPE = Haswell
test-avx2: $(VENV)/.installed-dev
	LD_PRELOAD=libc_malloc_debug.so.0 GLIBC_TUNABLES=glibc.malloc.check=3 \
		$(BIN)/python -m pytest --numprocesses auto -m "not slow" \
		tests/networks tests/supernets tests/methods tests/objectives

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo.db demo-artifacts demo-report.html
