# One command for each habit. All of them make what they need in $(VENV), with Python and nothing else.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

# The tools have an environment of their own: what they depend on brings pytest plugins along.
BIN := $(VENV)/bin
TOOLS := $(VENV)-tools/bin
LOWEST := $(VENV)-lowest/bin
ENVIRONMENT := $(PYTHON) tools/environment.py
TRACE := build/demo/shelf.ndjson
CORPUS := build/fuzz

.DEFAULT_GOAL := help
.PHONY: help demo test lowest coverage lint format types docs bench fuzz clean

help: ## show this list
	@echo "pytest-seccomp: system calls of a test suite. Targets:"
	@echo
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target text; do \
		printf '%-16s %s\n' "$$target" "$$text"; done
	@echo
	@echo "Variables: ARGS for pytest (make test ARGS='tests/trace -k merge'), PYTHON (now: $(PYTHON)), VENV (now: $(VENV))"

demo: ## trace the test suite of examples/shelf and show the trace
	@$(ENVIRONMENT) $(VENV) --group demo --wheel
	@mkdir -p $(dir $(TRACE))
	cd examples/shelf && $(abspath $(BIN))/pytest --seccomp-trace=$(abspath $(TRACE))
	$(BIN)/pytest-seccomp show $(TRACE)

test: ## run the tests on the built wheel, in two processes and in random order
	@$(ENVIRONMENT) $(VENV) --group test --wheel
	$(BIN)/pytest -n 2 --shuffle=random $(ARGS)

lowest: ## run the tests with the oldest versions that pyproject.toml allows
	@$(ENVIRONMENT) $(VENV)-lowest --lowest --group test --wheel
	$(LOWEST)/pytest -n 2 --shuffle=random $(ARGS)

coverage: ## run the tests and report the lines that pytest's own process did not reach
	@$(ENVIRONMENT) $(VENV) --group test --wheel
	$(BIN)/pytest -n 2 --shuffle=random --cov --cov-report=term $(ARGS)

lint: ## check the style of all Python files
	@$(ENVIRONMENT) $(VENV)-tools --group lint
	$(TOOLS)/ruff check .
	$(TOOLS)/ruff format --check .

format: ## put all Python files into the style
	@$(ENVIRONMENT) $(VENV)-tools --group lint
	$(TOOLS)/ruff check --fix .
	$(TOOLS)/ruff format .

types: ## check the types (mypy, strict)
	@$(ENVIRONMENT) $(VENV)-tools --group types
	$(TOOLS)/mypy

docs: ## build the documentation into site/; a warning is an error
	@$(ENVIRONMENT) $(VENV)-tools --group docs
	$(TOOLS)/mkdocs build --strict --quiet

bench: ## measure the cost of tracing, beside other tracers
	@$(ENVIRONMENT) $(VENV) --group test --wheel
	$(BIN)/python benchmarks --json build/benchmarks.json --plots build/benchmarks $(ARGS)

fuzz: ## look for texts that the parser of audit records misreads: an hour with ARGS=-max_total_time=3600
	@$(ENVIRONMENT) $(VENV)-fuzz --group fuzz --wheel
	@mkdir -p $(CORPUS)
	PYTHONPATH=tests/support $(VENV)-fuzz/bin/python tools/fuzz_seccomp_record.py $(or $(ARGS),-max_total_time=60) \
		-artifact_prefix=build/ $(CORPUS)

clean: ## remove everything that make has made
	rm -rf $(VENV) $(VENV).lock $(VENV)-* .venv-* build dist site
	rm -rf .mypy_cache .pytest_cache .ruff_cache .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
