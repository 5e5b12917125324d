# Everything runs in a virtual environment that this file makes with pip alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
DEMO_READY := $(VENV)/.demo
READY := $(VENV)/.ready
EXAMPLE_PLUGIN := $(VENV)/example_plugin
# pip compiles every file of a package; Python compiles the ones that are used, and keeps them.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt
# Installed once, for else pip would install them for each project by itself.
BUILD_TOOLS := hatchling editables
unexport PYTHONDONTWRITEBYTECODE
PYTEST := $(BIN)/pytest --numprocesses 2 --dist worksteal tests $(wildcard plugins/*/tests)
CHECKS := lint types layers
# Two jobs: pytest, which shows its progress, and the checks one by one, each with its output whole.
SIDE_BY_SIDE := $(MAKE) --jobs 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.DELETE_ON_ERROR:
.PHONY: demo test test-all setup $(CHECKS) tests tests-all checks docs serve gallery pages bench clean

demo: $(DEMO_READY)
	$(BIN)/perceptrain demo

# All but the slow tests.
test: $(READY)
	@$(SIDE_BY_SIDE) tests checks

test-all: $(READY)
	@$(SIDE_BY_SIDE) tests-all checks

setup: $(READY)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(DEMO_READY): pyproject.toml constraints.txt perceptrain_core/version.py | $(BIN)/python
	$(PIP_INSTALL) --editable ".[demo]"
	touch $@

$(READY): pyproject.toml constraints.txt perceptrain_core/version.py $(PLUGINS:%=%/pyproject.toml) | $(BIN)/python
	$(PIP_INSTALL) $(BUILD_TOOLS)
	$(PIP_INSTALL) --no-build-isolation --editable ".[dev]" $(PLUGINS:%=--editable "./%[test]")
	touch $(DEMO_READY) $@

checks: $(CHECKS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

# The plus sign keeps the output of pytest from being held back until it ends.
tests: $(READY)
	+$(PYTEST) -m "not slow"

tests-all: $(READY)
	+$(PYTEST) -m "not short"

docs: $(READY)
	$(BIN)/zensical build --strict

# The site in a browser, built again whenever a page changes.
serve: $(READY)
	$(BIN)/zensical serve

# The pictures of the examples and what they print, and the pictures of the tutorial. An example runs
# again if it has changed; `make --always-make gallery` runs all.
gallery: $(READY) $(patsubst examples/%.py,docs/gallery/%.txt,$(wildcard examples/*.py))
	cd docs && sed -n '/^```python$$/,/^```$$/p' tutorial.md | grep -v '^```' | ../$(BIN)/python -

docs/gallery/%.txt: examples/%.py perceptrain_core/pictures.mplstyle | $(EXAMPLE_PLUGIN)
	cd docs/pictures/gallery && OMP_NUM_THREADS=1 PYTHONPATH=../../../$(EXAMPLE_PLUGIN) \
		../../../$(BIN)/python ../../../$< > ../../gallery/$*.txt

$(EXAMPLE_PLUGIN): examples/perceptrain-cauchy/pyproject.toml | $(READY)
	$(PIP_INSTALL) --no-deps --no-build-isolation --target $@ ./examples/perceptrain-cauchy

# The pages and pictures that are generated from the code.
pages: $(READY)
	$(BIN)/python -m pages

# Measures beside other frameworks those that are installed: pip install ".[bench]".
bench: $(READY)
	$(BIN)/python -m benchmarks --docs docs

clean:
	rm -rf $(VENV) runs dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
