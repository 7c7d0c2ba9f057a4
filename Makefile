# One command for each habit. All of them make what they need in $(VENV), with Python and nothing else.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
TOOLS := $(PYTHON) tools/environment.py $(VENV)
TRACE := build/demo/shelf.ndjson

.DEFAULT_GOAL := help
.PHONY: help demo test lowest coverage lint format types docs bench clean

help: ## show this list
	@echo "pytest-seccomp: system calls of a test suite. Targets:"
	@echo
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target text; do \
		printf '%-16s %s\n' "$$target" "$$text"; done
	@echo
	@echo "Variables: ARGS for pytest (make test ARGS='tests/trace -k merge'), PYTHON (now: $(PYTHON)), VENV (now: $(VENV))"

demo: ## trace the test suite of examples/shelf and show the trace
	@$(TOOLS) --group demo --wheel
	@mkdir -p $(dir $(TRACE))
	cd examples/shelf && $(abspath $(BIN))/pytest --seccomp-trace=$(abspath $(TRACE))
	$(BIN)/pytest-seccomp show $(TRACE)

test: ## run the tests on the built wheel, in two processes and in random order
	@$(TOOLS) --group test --wheel
	$(BIN)/pytest -n 2 --shuffle=random $(ARGS)

lowest: ## run the tests with the oldest versions that pyproject.toml allows
	@$(PYTHON) tools/environment.py $(VENV)-lowest --lowest --group test --wheel
	$(VENV)-lowest/bin/pytest -n 2 --shuffle=random $(ARGS)

coverage: ## run the tests and report the lines that pytest's own process did not reach
	@$(TOOLS) --group test --wheel
	$(BIN)/pytest -n 2 --shuffle=random --cov --cov-report=term $(ARGS)

lint: ## check the style of all Python files
	@$(TOOLS) --group lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: ## put all Python files into the style
	@$(TOOLS) --group lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: ## check the types (mypy, strict)
	@$(TOOLS) --group types --wheel
	$(BIN)/mypy

docs: ## build the documentation into site/; a warning is an error
	@$(TOOLS) --group docs
	$(BIN)/mkdocs build --strict --quiet

bench: ## measure the cost of tracing, beside other tracers
	@$(TOOLS) --group test --wheel
	$(BIN)/python benchmarks $(ARGS)

clean: ## remove everything that make has made
	rm -rf $(VENV) $(VENV).lock .venv-* build dist site
	rm -rf .mypy_cache .pytest_cache .ruff_cache .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
