# make demo    the main job on the embedded default: an alert becomes a mail with two files
# make test    installs what the tests need and runs them all
# make prove   kills a sending process at every point, and counts the copies of each mail
# make soak    kills senders at random against Postfix, and 10,000 mails, for SOAK_SECONDS (300)
# make check   everything a change has to pass: format, lint, two type checkers, tests, the built package
#
# PYTHON=python3.12 make test   uses another interpreter (3.11 or newer)

PYTHON ?= python3
VENV ?= .venv
SOAK_SECONDS ?= 300
BIN := $(VENV)/bin
# Two processes more than there are processors: many tests wait, for a server or for its silence.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 6) + 2)')
# Each module is compiled once, not by each of the hundreds of processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE
SOURCES := nina_smtp credentials nodes tests examples/demo.py

.PHONY: demo test soak check check-all lint types format bench prove clean
.DELETE_ON_ERROR:

demo: $(VENV)/.inbox
	$(BIN)/python examples/demo.py

test: $(VENV)/.check
	bash tests/bed/install-servers.sh
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term $(PYTEST)

soak: $(VENV)/.check
	bash tests/bed/install-servers.sh
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/python -m pytest -m soak tests/crash $(PYTEST)

check: lint types test
	$(BIN)/python -m build --no-isolation --outdir $(VENV)/dist . > $(VENV)/build.log || { cat $(VENV)/build.log; exit 1; }

# The tests on every interpreter that is found here.
check-all: check
	@for version in 3.11 3.12 3.13 3.14; do \
	  if command -v python$$version > /dev/null && python$$version -c '' 2> /dev/null; then \
	    echo "== python$$version"; \
	    $(MAKE) --no-print-directory test PYTHON=python$$version VENV=.venv-$$version || exit 1; \
	  else echo "== python$$version: not here"; fi; \
	done

lint: $(VENV)/.check
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

types: $(VENV)/.check
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.check
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# Measured against nodemailer, aiosmtplib and the standard library, in one run; see tests/benchmarks/README.md.
bench: $(VENV)/.bench
	$(BIN)/python tests/benchmarks

# Kills a sending process at every point, and counts the copies of each mail (docs/delivery.md).
prove: $(VENV)/.check
	$(BIN)/python -m pytest -v tests/crash/test_kill.py

clean:
	rm -rf $(VENV) .venv-3.* dist .coverage .mypy_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; choose one with PYTHON=python3.12 make $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "This Python cannot make environments: on Debian, apt-get install python3-venv"; exit 1; }

# One stamp for each set of extras: pyproject.toml is what they are made of.
$(VENV)/.inbox: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[inbox]'
	@touch $@

$(VENV)/.check: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check hatchling --editable '.[check]'
	@touch $@

$(VENV)/.bench: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@
