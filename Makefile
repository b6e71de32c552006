# Two commands do everything on a fresh machine: `make study` and `make test`. Each sets up a virtual environment first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup study smoke test test-end-to-end quality format bench clean

help:
	@echo "make study            the study on generated stories; ends in runs/laptop/report/report.html"
	@echo "make smoke            every stage once, in a minute or so"
	@echo "make test             the tests"
	@echo "make test-end-to-end  the slow tests: whole commands, real kills"
	@echo "make quality          lint and format check"
	@echo "make bench            the benchmarks; writes docs/benchmarks.md"

setup: $(READY)

# constraints.txt holds the versions that are known to work together.
$(READY): setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e ".[dev]"
	touch $(READY)

study: $(READY)
	$(BIN)/evoslm study

smoke: $(READY)
	$(BIN)/evoslm study --preset smoke

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadscope

test-end-to-end: $(READY)
	$(BIN)/python -m pytest -m end_to_end

quality: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e ".[bench]"
	$(BIN)/python -m benchmarks

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
