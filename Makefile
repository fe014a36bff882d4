# Every target has a `##` line; `make help` prints them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

.PHONY: setup
setup: ## make the virtual environment from the locked dependencies
	@deploy/setup.sh $(VENV) requirements/dev.lock editable

.PHONY: lint
lint: setup ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: lock
lock: ## resolve the locked dependencies anew (needs uv)
	deploy/lock.sh
