# make run: the proxy with config.toml   make test: everything   make check: fast checks   make bench   make cover
PYTHON ?= python3
BIN := .venv/bin
CONFIG ?= config.toml

.PHONY: run test check bench cover format clean

run: .venv/ready
	@exec $(BIN)/frontproxy run -c $(CONFIG)

test: .venv/dev
	@$(BIN)/python -m tests.real.install
	$(BIN)/python -m pytest

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/mypy
	MYPYPATH=deploy/postfix $(BIN)/mypy deploy/postfix/setup deploy/postfix/*.py
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q -x -n 2 -m "not real"

bench: .venv/dev
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m tests.bench

cover: .venv/dev
	$(BIN)/coverage run -m pytest -q -m "not real"
	$(BIN)/coverage report --skip-covered --show-missing

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build *.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "frontproxy needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get -qq update && apt-get -qq -y install python3-venv; \
	  else echo "Python has no venv module here; as root: apt-get install python3-venv" >&2; exit 1; fi; }
	$(PYTHON) -m venv .venv

.venv/ready: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ .venv/ready
