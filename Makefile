PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help figure1 run test docs

help:
	@echo "make figure1 [ARGS='preset=smoke']            Figure 1, from nothing"
	@echo "make run ARGS='arch=bottleneck optimizer=ngd' one run"
	@echo "make test                                     format, lint, types, tests"
	@echo "make docs                                     the documentation, into site/"
	@echo "PYTHON=python3.12 make ...                    with another Python (3.11 or later)"

figure1: $(VENV)/installed
	$(BIN)/nglab data mnist
	$(BIN)/nglab figure1 $(ARGS)

run: $(VENV)/installed
	$(BIN)/nglab run $(ARGS)

test: export OMP_NUM_THREADS = 1
test: $(VENV)/installed
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pytest -n 2 $(ARGS)

docs: $(VENV)/installed
	$(BIN)/mkdocs build

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -c constraints.txt -e ".[dev,docs,export,launchers,tuning]"
	@touch $@
