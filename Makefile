# Everything a newcomer needs: `make demo`, `make test`. Both set up what is missing.

VENV := .venv
PY := $(VENV)/bin/python

.PHONY: setup setup-test demo test test-deep test-matrix fuzz check lint types layers bench screenshots docs docs-serve clean

setup: ; @scripts/setup.sh
setup-test: ; @scripts/setup.sh --browser

demo: setup
	@$(VENV)/bin/strayline demo

# two processes, a file is never split: most tests wait for something, and two cores are what there is
PYTEST := $(PY) -m pytest -q -n 2 --dist loadfile

test: setup-test
	@$(PYTEST) -m "not deep"

test-deep: setup-test
	@STRAYLINE_ROUNDS=8 $(PY) -m pytest -q --timeout 600

# the instrumentation on the oldest and newest version of each library; takes a quarter of an hour or more
test-matrix: setup-test
	@$(PY) scripts/matrix.py

# the native decoder, FUZZ_S seconds (ten minutes); needs clang
fuzz: setup ; @scripts/fuzz.sh

check: setup-test lint types layers
	@$(PYTEST) -m "not deep"

lint:
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
types: ; @$(VENV)/bin/pyright
layers: ; @$(VENV)/bin/lint-imports

bench: setup
	@$(PY) -m tests.bench.ingest
	@$(PY) -m tests.bench.receive
	@$(PY) -m tests.bench.overhead
	@$(PY) -m tests.bench.outage

screenshots: setup-test
	@$(PY) scripts/screenshots.py docs/images

# the site, in site/: needs nothing from another host. Material warns of MkDocs 2 at each build
docs: setup
	@$(PY) scripts/reference.py
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict
	@echo "the site is in site/, make docs-serve shows it"

docs-serve: docs
	@$(PY) -m http.server --bind 127.0.0.1 --directory site 8000

clean: ; @rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build dist site
