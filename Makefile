# Two commands on a fresh machine with Python 3.11 and make: `make demo` and `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# Versions and hashes of all packages, for Linux on x86-64; elsewhere `make ... LOCK=` takes the newest.
LOCK := requirements.lock
SUPPLY := build/supply/bin
PYTEST := $(BIN)/python -m pytest -q
# Files in their own order: by the number of tests, those of one long test would come last, alone.
# A process that dies ends the run: with a new one in its place pytest-xdist may wait forever.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

.PHONY: demo test test-long lint docs test-cc test-cc-found test-cc-thread build-ops build-ops-found test-keras3 test-tf-keras bench bench-quality bench-click lock audit clean

demo: $(INSTALLED)
	$(BIN)/python examples/movielens_demo.py --output build/demo

# What needs one core each goes side by side; then the tests, which take all.
test: $(INSTALLED)
	$(MAKE) --no-print-directory -j 2 test-cc build-ops lint docs
	$(MAKE) --no-print-directory test-keras3
	$(MAKE) --no-print-directory test-tf-keras

# What takes hours: tests marked `long`, two thousand random models, and mutants of their files.
test-long: test
	@$(MAKE) --no-print-directory test-cc KERNEL_CASES=
	$(PYTEST) $(PARALLEL) -m long
	TF_USE_LEGACY_KERAS=1 $(PYTEST) $(PARALLEL) $(TF_KERAS) $(TF_KERAS_LONG)
	$(BIN)/python -m tests.random_models --count 2000 --jobs 2 --json build/random_models.jsonl
	$(BIN)/python -m tests.random_models --count 300 --seed 10000 --jobs 2 --json build/random_models.jsonl
	$(BIN)/python -m tests.mutations --count 300 --jobs 2 --json build/mutations.jsonl

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@# As it is installed: converters/ inside of the package.
	@rm -rf build/house && mkdir -p build/house && cp -r memcom_tf build/house && rm -rf build/house/memcom_tf/converters
	@cp -r converters build/house/memcom_tf
	cd build/house && $(abspath $(BIN))/lint-imports --no-logo --no-cache $(abspath pyproject.toml)

# The manual as a site, in build/site. What a page would load from elsewhere stops it, as a dead link does;
# with `--quiet` MkDocs counts no warnings, and nothing would. `make docs RUN_NOTEBOOKS=1` runs the tutorials
# and shows what they print, in some minutes.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

FIND_COMPILER := $(BIN)/python -c "from memcom_tf.kernels.build import find_compiler; print(*find_compiler())"
# How many random cases `make test` takes; none said, the test takes all that it knows.
KERNEL_CASES := 400
KERNELS_TEST := -std=c++17 -O1 -g1 -pthread -fno-sanitize-recover=all -Wall -Wextra -Werror -Wno-psabi \
	-Imemcom_tf/kernels/cc tests/cc/kernels_test.cc

# Without a C++ compiler training runs on plain TensorFlow ops: nothing to test, and no failure.
test-cc build-ops: $(INSTALLED)
	@if $(FIND_COMPILER) >/dev/null 2>&1 || test -n "$$CXX"; then \
		$(MAKE) --no-print-directory $@-found; \
	else \
		echo "No C++ compiler on PATH: the fused ops are not tested."; \
	fi

test-cc-found: $(INSTALLED)
	$(BIN)/clang-format --dry-run --Werror $(wildcard memcom_tf/kernels/cc/*.h memcom_tf/kernels/cc/*.cc tests/cc/* benchmarks/cc/*)
	mkdir -p build
	$$($(FIND_COMPILER)) -fsanitize=address,undefined $(KERNELS_TEST) -o build/kernels_test
	build/kernels_test $(KERNEL_CASES)

# With warnings as errors; the tests use what this makes.
build-ops-found: $(INSTALLED)
	CXX="$$($(FIND_COMPILER)) -Werror" $(BIN)/memcom build-ops

test-cc-thread: $(INSTALLED)
	mkdir -p build
	$$($(FIND_COMPILER)) -fsanitize=thread $(KERNELS_TEST) -o build/kernels_test_thread
	build/kernels_test_thread

test-keras3: $(INSTALLED) data
	$(PYTEST) $(PARALLEL) -m "not long"

# The layers, the ranker and the converter run on tf_keras too, in a process of its own; what stands
# on these, and meets Keras through them alone, in `make test-long`.
TF_KERAS := tests/contract tests/optimizers tests/proof/test_behaviour.py tests/conversion/test_any_model.py \
	tests/training/test_ranker.py
TF_KERAS_LONG := tests/proof tests/conversion/test_large_tables.py tests/conversion/test_ragged.py \
	tests/compression/test_compress_embeddings.py tests/quantization/test_profiles.py \
	tests/training/test_fine_tune.py tests/training/test_training.py

test-tf-keras: $(INSTALLED)
	TF_USE_LEGACY_KERAS=1 $(PYTEST) $(PARALLEL) -m "not long" $(TF_KERAS)

# The oldest and the newest versions that setup.cfg allows, and a file that ranks without TensorFlow.
.PHONY: test-ends
test-ends: $(INSTALLED) $(SUPPLY)/uv
	$(BIN)/python -m tests.environments --uv $(abspath $(SUPPLY)/uv)

.PHONY: data
data: $(INSTALLED)
	$(BIN)/python -m memcom_tf.datasets

# Every published figure: quality and bytes first, then the speed of training, about ten minutes
# each, on a machine that does nothing else. `--quick --json OUT` gives a first idea of each.
bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.movielens
	$(BIN)/python -m benchmarks.ordering
	$(BIN)/python -m benchmarks.training.step
	$(BIN)/python -m benchmarks.training.vocabulary_scaling
	$(BIN)/python -m benchmarks.training.lookup_kernels
	$(BIN)/python -m benchmarks.training.parity
	$(BIN)/python -m benchmarks.export
	$(BIN)/python -m benchmarks.export.runtimes
	$(BIN)/python -m benchmarks.export.profiles
	$(BIN)/python -m benchmarks.scale --fresh

# Hours: every method at every ratio, resumable. DATA=FILE takes other interactions.
bench-quality: $(INSTALLED)
	$(BIN)/python -m benchmarks.quality $(if $(DATA),--data $(DATA))

# Hours: click models on rows of yours, DATA=FILE, resumable.
bench-click: $(INSTALLED)
	$(BIN)/python -m benchmarks.click --data $(DATA)

$(INSTALLED): setup.cfg pyproject.toml $(LOCK)
	$(PYTHON) -c "import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else f'memcom_tf needs Python 3.11 or later, and {sys.executable} is {v[0]}.{v[1]}. Set PYTHON=...')"
	$(PYTHON) -m venv $(VENV)
ifneq ($(LOCK),)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $(LOCK)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
else
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
endif
	touch $@

# Writes requirements.lock anew: the newest versions that setup.cfg allows, with their hashes.
lock: $(SUPPLY)/uv
	$(SUPPLY)/uv pip compile setup.cfg --constraint requirements.limits --extra dev --upgrade --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links --python-version 3.11 \
		--python-platform x86_64-manylinux_2_28 --quiet --output-file requirements.lock

# Asks for published weaknesses of the versions in requirements.lock.
audit: $(SUPPLY)/pip-audit
	$(SUPPLY)/pip-audit --strict --require-hashes --disable-pip --requirement requirements.lock

$(SUPPLY)/uv $(SUPPLY)/pip-audit:
	$(PYTHON) -m venv $(dir $(SUPPLY))
	$(SUPPLY)/python -m pip install --quiet uv==0.13.9 pip-audit==2.10.1

clean:
	rm -rf $(VENV) build

# make apk, make android-test, make web-demo.
include android_demo/android.mk
