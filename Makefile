# Two commands do all: `make demo` sets up and runs the main job, `make test` sets up and passes the tests.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: demo test setup check clean

demo: setup
	$(BIN)/crosscam demo

# Kernels first, on all processors; then two files of tests at a time, each file by one process with a thread of its own
# for arithmetic. What the hundreds of processes that the tests start have compiled is kept, whatever the shell says.
test: export OMP_NUM_THREADS = 1
test: export PYTHONDONTWRITEBYTECODE =
test: setup
	$(BIN)/python -m pipeline.precompile
	$(BIN)/pytest -n 2 --dist loadfile

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml scripts/setup
	scripts/setup $(VENV) $(PYTHON)
	touch $@

clean:
	rm -rf $(VENV) run export
