# make showers   10,000 positron showers and a page to look at
# make test      the test suite, without the tests that are marked as slow
# make test-all  the whole test suite
# make lint      ruff and mypy
# make docs      the documentation, in docs/_build
# make zoo       fit the shipped parametrisations again (needs ../shared)
# Each makes the virtual environment .venv and installs what it needs.

PYTHON ?= python3
BIN := .venv/bin
PYTEST_WORKERS ?= 2

.PHONY: showers test test-all lint docs zoo clean

showers: .venv/core
	$(BIN)/caloforge generate --particle e+ --energy 1:100 -n 10000 --seed 1 \
	    -o showers.h5 --page showers.html --overwrite

test: .venv/test
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal -m 'not slow'

test-all: .venv/test
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/docs
	$(BIN)/sphinx-build -W -q docs docs/_build

zoo: .venv/core
	for item in eplus:e+ gamma:gamma piplus:pi+; do \
	    file=$${item%%:*}; \
	    $(BIN)/caloforge train fastcalosim --particle $${item#*:} \
	        --energy-range 1:100 --data ../shared/data/$$file-voxels.h5 --cells ../shared/data/$$file.h5 \
	        -o src/caloforge/zoo/fastcalosim-$$file --overwrite || exit 2; \
	done

.venv/python:
	$(PYTHON) -m venv .venv
	@touch $@

.venv/core: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# Of PyTorch the build for the CPU is enough; where there is none under this name, any will do.
.venv/test: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ .venv/core

.venv/docs: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@ .venv/core

clean:
	rm -rf .venv docs/_build
