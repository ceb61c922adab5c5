# Everything a checkout needs, from nothing but make, git and a python3 of 3.11 or newer.
#
# The environment is `.venv`, made from `uv.lock` on first use and made anew whenever that or `pyproject.toml` changes.

PYTHON3    ?= python3
UV_VERSION := 0.13.9
BIN        := .venv/bin
PYTHON     := $(BIN)/python
READY      := .venv/.ready

# Of the caller's environment, what would lead to another interpreter, other packages or another folder.
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONUSERBASE PYTHONWARNINGS
unexport UV_PROJECT UV_PROJECT_ENVIRONMENT UV_WORKING_DIR UV_PYTHON UV_SYSTEM_PYTHON UV_NO_DEV UV_NO_DEFAULT_GROUPS
unexport UV_INDEX UV_INDEX_URL UV_DEFAULT_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_NO_INDEX UV_NO_BUILD_ISOLATION
unexport UV_LOCKED UV_NO_EDITABLE UV_NO_INSTALL_PROJECT UV_OFFLINE UV_TARGET UV_PREFIX
unexport PYTEST_ADDOPTS PYTEST_PLUGINS PYTEST_DISABLE_PLUGIN_AUTOLOAD
export   UV_PYTHON_DOWNLOADS := never
export   UV_LINK_MODE        := copy
# The machine's own certificates where it has some: behind a proxy that inspects TLS no others are right.
CERTIFICATES := $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem)
HOMELESS := $(shell test -w "$$HOME" || echo yes)
UV  := $(BIN)/uv --no-config --quiet $(if $(CERTIFICATES),--system-certs) $(if $(HOMELESS),--no-cache)
PIP := $(PYTHON) -m pip --quiet --quiet --disable-pip-version-check

# An environment that was made elsewhere (the checkout has moved) or whose interpreter is gone is made anew.
ifneq ($(shell cat $(READY) 2>/dev/null && $(PYTHON) -c ''),$(shell pwd -P))
.PHONY: $(READY)
endif

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types layers lock check api bench clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## see it work against a simulated Blink cloud: no account, no questions
	@$(BIN)/blinkarchive demo $(ARGS)

test: $(READY) ## run every test
	@$(PYTHON) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

lint: $(READY) ## the style, as ruff sees it
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

format: $(READY) ## mend the style
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

types: $(READY) ## the types, as mypy sees them
	@$(PYTHON) -m mypy

layers: $(READY) ## the direction of imports
	@$(BIN)/lint-imports

lock: $(READY) ## whether uv.lock is what pyproject.toml asks for
	@$(UV) lock --check

check: lint types layers lock test ## all of it

api: $(READY) ## write the plugin API down as it is now
	@$(PYTHON) -m tests.test_plugin_api

bench: $(READY) ## measure it beside others: ROADS="P2 P7" PAIRS=5 UPDATE=1
	@$(PYTHON) -m benchmarks $(if $(PAIRS),--pairs $(PAIRS)) $(if $(UPDATE),--update) $(ROADS)

clean: ## remove the environment and whatever tools left behind
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist benchmarks/.peers .witness demo-archive
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml uv.lock Makefile
	@command -v $(PYTHON3) >/dev/null || { \
	  echo "blinkarchive needs python3, 3.11 or newer; there is no $(PYTHON3) here." >&2; exit 1; }
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "blinkarchive needs python3 3.11 or newer; $$(command -v $(PYTHON3)) is $$($(PYTHON3) --version)." >&2; \
	  echo "Where a newer one has another name: make $(MAKECMDGOALS) PYTHON3=python3.12" >&2; exit 1; }
	@$(PYTHON3) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$$(command -v $(PYTHON3)) cannot make virtual environments. Debian, Ubuntu: apt install python3-venv" >&2; exit 1; }
	@if test "$$(cat $@ 2>/dev/null || pwd -P)" != "$$(pwd -P)" || ! $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	  echo "Making .venv (once; a minute at most)." >&2; $(PYTHON3) -m venv --clear .venv; fi
	@$(UV) --version 2>/dev/null | grep -q "^uv $(UV_VERSION) " || $(PIP) --isolated --retries 1 install "uv==$(UV_VERSION)" \
	  || $(PIP) install "uv==$(UV_VERSION)"
	@$(UV) sync --frozen --inexact --python $(PYTHON)
	@pwd -P > $@
