# Two commands do everything on a fresh machine: `make study` and `make test`. Each first installs what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt
# A mark for each set of packages: a study needs no test runner, and the tests need all that a study does.
READY := $(VENV)/.ready
READY_TO_TEST := $(VENV)/.ready-to-test
READY_TO_MEASURE := $(VENV)/.ready-to-measure
READY_TO_DOCUMENT := $(VENV)/.ready-to-document
READY_TO_SHOW := $(VENV)/.ready-to-show
# The run whose models `make demo` shows.
RUN ?= runs/laptop
# Two processes, each with whole modules, so that what a module prepares is prepared once.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadscope

.PHONY: help setup study demo smoke test test-end-to-end test-all quality format bench docs clean

help:
	@echo "make study            the study on generated stories; ends in runs/laptop/report/report.html"
	@echo "make demo             a page on which the models of the study are heard; RUN=<folder> for another run"
	@echo "make smoke            every stage once, in a minute or so"
	@echo "make test             the tests"
	@echo "make test-end-to-end  the slow tests: whole commands, real kills"
	@echo "make test-all         both, in one go"
	@echo "make quality          lint and format check"
	@echo "make bench            the benchmarks; writes docs/benchmarks.md"
	@echo "make docs             the documentation as a site; build/site/index.html"
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
	# The tests start hundreds of processes, each of which would compile 4,000 modules where Python keeps no bytecode.
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	touch $(READY_TO_TEST)

$(READY_TO_MEASURE): $(READY_TO_TEST)
	$(INSTALL) -e ".[bench]"
	touch $(READY_TO_MEASURE)

$(READY_TO_SHOW): $(READY)
	$(INSTALL) -e ".[demo]"
	touch $(READY_TO_SHOW)

$(READY_TO_DOCUMENT): $(READY)
	$(INSTALL) -e ".[docs]"
	touch $(READY_TO_DOCUMENT)

study: $(READY)
	$(BIN)/evoslm study

demo: $(READY_TO_SHOW)
	$(BIN)/evoslm demo $(RUN)

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

# The theme's own notice about other builders is left out. Any warning, such as a link that leads nowhere, is an error.
docs: $(READY_TO_DOCUMENT)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
