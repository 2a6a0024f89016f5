# Two commands on a fresh machine with Python 3.11 and make: `make demo` and `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
PYTEST := $(BIN)/python -m pytest -q

.PHONY: demo test lint test-keras3 test-tf-keras bench clean

demo: $(INSTALLED)
	$(BIN)/python examples/movielens_demo.py --output build/demo

test: lint test-keras3 test-tf-keras

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-keras3: $(INSTALLED) data
	$(PYTEST) -n 2

# The layers, the ranker and the converter run on tf_keras too, in a process of its own.
test-tf-keras: $(INSTALLED)
	TF_USE_LEGACY_KERAS=1 $(PYTEST) -n 2 tests/contract tests/test_ranker.py

.PHONY: data
data: $(INSTALLED)
	$(BIN)/python -m memcom_tf.datasets

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.movielens

$(INSTALLED): setup.cfg pyproject.toml
	$(PYTHON) -c "import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else f'memcom_tf needs Python 3.11 or later, and {sys.executable} is {v[0]}.{v[1]}. Set PYTHON=...')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build
