# Everything runs from .venv, which is built from requirements-dev.lock and rebuilt when that changes.

PYTHON ?= python3
UV ?= uv
VENV := .venv
READY := $(VENV)/.ready
GATEWAY := tests/gateway/.venv
EXAMPLES := tests/examples/.venv
MCP := tests/mcp/.venv
RUN := $(VENV)/bin/python -m

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
.PHONY: help demo up test test-gateway test-examples test-mcp faults check lint format-check types docs bench bench-gate lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Run every shipped agent on a one-machine stack, then stop (LIVE=1: the real API)
	@$(RUN) local demo $(if $(filter 1,$(LIVE)),--live)

up: $(READY) ## Start the one-machine stack and keep it up; Ctrl-C drains it (LIVE=1: the real API)
	@$(RUN) local up $(if $(filter 1,$(LIVE)),--live)

test: lint types ## Lint, type-check and run the whole test suite
	@$(RUN) pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test-gateway: $(READY) $(GATEWAY)/.ready ## Run workers through a real LiteLLM proxy (installs it, 600 MB)
	@$(RUN) pytest -q -m gateway tests/gateway

test-examples: $(EXAMPLES)/.ready ## Run the examples that need other agent libraries (installs those)
	@$(EXAMPLES)/bin/python -m pytest -q -m examples tests/examples

test-mcp: $(MCP)/.ready ## Run workers with real MCP servers (installs the optional extra)
	@$(MCP)/bin/python -m pytest -q -m mcp tests/mcp

faults: $(READY) ## Kill workers at every point, break everything while JOBS=1000 run, and see that promises hold (SEED=7)
	@$(RUN) tests.faults.points
	@$(RUN) tests.faults.chaos $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) $(if $(WORKERS),--workers $(WORKERS))

check: lint format-check types ## Lint, formatting and types, without the tests

lint: $(READY)
	@$(RUN) ruff check --quiet .

format-check: $(READY)
	@$(RUN) ruff format --check --quiet .

types: $(READY)
	@$(RUN) mypy --no-error-summary

docs: $(READY) ## Make the generated parts of the docs anew
	@$(VENV)/bin/python docs/generate.py

bench: $(READY) ## Measure the queue beside others (REPEAT=1 ONLY=arq,sluice TESTS=idle,drain SMALL=1)
	@$(RUN) bench queue $(if $(REPEAT),--repeat $(REPEAT)) $(if $(ONLY),--only $(ONLY)) \
		$(if $(TESTS),--tests $(TESTS)) $(if $(filter 1,$(SMALL)),--small)

bench-gate: $(READY) ## Measure the gate beside others (REPEAT=1 ONLY=sluice,booked SCENARIOS=outage,fair SMALL=1)
	@$(RUN) bench gate $(if $(REPEAT),--repeat $(REPEAT)) $(if $(ONLY),--only $(ONLY)) \
		$(if $(SCENARIOS),--scenarios $(SCENARIOS)) $(if $(filter 1,$(SMALL)),--small)

lock: ## Lock the requirements again (needs uv); keeps what need not change
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/" >&2; exit 1; }
	@$(LOCK) requirements.txt -o requirements.lock
	@$(LOCK) requirements-dev.txt -c requirements.lock -o requirements-dev.lock
	@$(LOCK) requirements-mcp.txt -c requirements-dev.lock -o requirements-mcp.lock
	@$(LOCK) deploy/gateway/requirements.txt -o deploy/gateway/requirements.lock

LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

clean: ## Remove .venv and every cache
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis bench/.peers $(GATEWAY) $(EXAMPLES) $(MCP)
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Written last, so an install that fails or is interrupted is done again from the start.
$(READY): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Sluice needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1 || true)." >&2; \
		echo "Name another one: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.13" >&2; exit 1; }
	@echo "Setting up $(VENV) from requirements-dev.lock ..."
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) pip install -qq --disable-pip-version-check --no-input --no-compile --require-hashes -r requirements-dev.lock
	@touch $@

$(GATEWAY)/.ready: deploy/gateway/requirements.lock
	@echo "Setting up $(GATEWAY) from deploy/gateway/requirements.lock ..."
	@rm -rf $(GATEWAY)
	@$(PYTHON) -m venv $(GATEWAY)
	@$(GATEWAY)/bin/python -m pip install -qq --disable-pip-version-check --no-input --no-compile --require-hashes \
		-r deploy/gateway/requirements.lock
	@touch $@

$(EXAMPLES)/.ready: requirements-dev.lock $(wildcard examples/*/requirements.txt)
	@echo "Setting up $(EXAMPLES) from requirements-dev.lock and examples/*/requirements.txt ..."
	@rm -rf $(EXAMPLES)
	@$(PYTHON) -m venv $(EXAMPLES)
	@$(EXAMPLES)/bin/python -m pip install -qq --disable-pip-version-check --no-input --no-compile --require-hashes \
		-r requirements-dev.lock
	@$(EXAMPLES)/bin/python -m pip install -qq --disable-pip-version-check --no-input --no-compile \
		$(foreach file,$(filter examples/%,$^),-r $(file))
	@touch $@

$(MCP)/.ready: requirements-dev.lock requirements-mcp.lock
	@echo "Setting up $(MCP) from requirements-dev.lock and requirements-mcp.lock ..."
	@rm -rf $(MCP)
	@$(PYTHON) -m venv $(MCP)
	@$(MCP)/bin/python -m pip install -qq --disable-pip-version-check --no-input --no-compile --require-hashes \
		-r requirements-dev.lock -r requirements-mcp.lock
	@touch $@
