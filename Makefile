# The same few commands for a person and for CI. A fresh machine needs Python 3.11+, a C++ compiler and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install -q -c constraints.txt
NATIVE := $(wildcard native/*.* native/*/*)

.PHONY: demo test check bench accuracy docs clean

demo: .venv/installed ## forecast the bundled weather and oil prices; reports in out/
	$(BIN)/rekur demo --out out

test: .venv/tested ## the test suite
	$(BIN)/python -m pytest

check: .venv/checked ## format, lint, types
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy

bench: .venv/installed ## speed beside the rivals that are installed; minutes
	$(BIN)/python benchmarks/textbook.py

accuracy: .venv/tested ## accuracy on the real data sets; writes docs/accuracy.md; minutes
	$(BIN)/python benchmarks/accuracy.py

docs: .venv/tested ## run every example of the documentation
	$(BIN)/python -m pytest tests/test_docs.py

.venv/installed: pyproject.toml constraints.txt CMakeLists.txt $(NATIVE)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) scikit-build-core nanobind cmake ninja
	$(PIP) --no-build-isolation -e .
	touch $@

.venv/tested: .venv/installed
	$(PIP) --no-build-isolation -e ".[test]"
	touch $@

.venv/checked: .venv/installed
	$(PIP) --no-build-isolation -e ".[check]"
	touch $@

clean:
	rm -rf .venv build out
