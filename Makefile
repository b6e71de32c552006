# Two commands do everything on a fresh machine: `make study` and `make test`. Each first installs what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt
# A mark for each set of packages: a study needs no test runner, and the tests need all that a study does.
READY := $(VENV)/.ready
READY_TO_TEST := $(VENV)/.ready-to-test
READY_TO_MEASURE := $(VENV)/.ready-to-measure
# Two processes, each with whole modules, so that what a module prepares is prepared once.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadscope

.PHONY: help setup study smoke test test-end-to-end test-all quality format bench clean

help:
	@echo "make study            the study on generated stories; ends in runs/laptop/report/report.html"
	@echo "make smoke            every stage once, in a minute or so"
	@echo "make test             the tests"
	@echo "make test-end-to-end  the slow tests: whole commands, real kills"
	@echo "make test-all         both, in one go"
	@echo "make quality          lint and format check"
	@echo "make bench            the benchmarks; writes docs/benchmarks.md"
	@echo "make setup            the virtual environment alone, with all that the tests need"

setup: $(READY_TO_TEST)

# constraints.txt holds the versions that are known to work together.
$(READY): setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(INSTALL) -e .
	touch $(READY)

$(READY_TO_TEST): $(READY)
	$(INSTALL) -e ".[dev]"
	touch $(READY_TO_TEST)

$(READY_TO_MEASURE): $(READY_TO_TEST)
	$(INSTALL) -e ".[bench]"
	touch $(READY_TO_MEASURE)

study: $(READY)
	$(BIN)/evoslm study

smoke: $(READY)
	$(BIN)/evoslm study --preset smoke

test: $(READY_TO_TEST)
	$(PYTEST)

test-end-to-end: $(READY_TO_TEST)
	$(PYTEST) -m end_to_end

test-all: $(READY_TO_TEST)
	$(PYTEST) -m "end_to_end or not end_to_end"

quality: $(READY_TO_TEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY_TO_TEST)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY_TO_MEASURE)
	$(BIN)/python -m benchmarks

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
