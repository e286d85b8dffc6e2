# Each target sets up what it needs; nothing has to be done before.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# A process for each core, each with servers of its own; a file's tests stay together (tests/conftest.py).
PYTEST := $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo docs test test-all ui bench check lint install lock clean

help: ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## Make the virtual environment from the lock

$(STAMP): requirements.lock pyproject.toml
	@PYTHON="$(PYTHON)" ./install.sh $(VENV)
	@touch $@

demo: $(STAMP) ## Five systems into one warehouse, modelled and checked
	@$(BIN)/drivetrain demo $(ARGS)

ui: $(STAMP) ## Serve the Dagster UI on 127.0.0.1 until Ctrl-C
	@$(BIN)/drivetrain ui

docs: $(STAMP) ## Site of the models, their columns and lineage (one HTML file)
	@$(BIN)/drivetrain docs

check: $(STAMP) ## Style, types, floors, SQL: seconds, no server
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/pyright
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models dbt_project/tests

test: check ## All checks and tests (under 15 minutes on 2 cores)
	@$(PYTEST)

test-all: check ## The same, and the slow ones
	@$(PYTEST) -m ""

bench: $(STAMP) ## Measure, print a table, write benchmarks/results/*.json
	@$(BIN)/python -m benchmarks

lock: $(STAMP) ## Resolve the dependencies anew (maintainers)
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
	    --no-emit-index-url --no-header --generate-hashes --output-file requirements.lock
	@cd tests/faults/swift && $(abspath $(BIN))/uv pip compile requirements.in --universal --python-version 3.11 --upgrade \
	    --no-emit-index-url --no-header --generate-hashes --output-file requirements.lock

clean: ## Remove the environment, the embedded servers and their data
	@test ! -x $(BIN)/drivetrain || $(BIN)/drivetrain servers destroy --yes
	@rm -rf $(VENV) .drivetrain
