# Everything runs in a virtual environment that this file makes with pip alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
READY := $(VENV)/.ready

.PHONY: demo test setup lint types layers tests docs pictures bench clean

demo: $(READY)
	$(BIN)/perceptrain demo

test: lint types layers tests docs

setup: $(READY)

$(READY): pyproject.toml constraints.txt perceptrain_core/version.py $(wildcard plugins/*/pyproject.toml)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]" $(PLUGINS:%=--editable "./%[test]")
	touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

tests: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal tests $(wildcard plugins/*/tests)

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir $(VENV)/site

# The pictures of the tutorial, made by its own code.
pictures: $(READY)
	cd docs && sed -n '/^```python$$/,/^```$$/p' tutorial.md | grep -v '^```' | ../$(BIN)/python -

bench: $(READY)
	$(BIN)/python benchmarks/step_overhead.py
	$(BIN)/python benchmarks/weighted_step.py
	$(BIN)/python benchmarks/listing.py

clean:
	rm -rf $(VENV) runs dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
