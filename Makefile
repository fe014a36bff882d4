# Every target has a `##` line; `make help` prints them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
#: Test processes that run side by side.
JOBS ?= 3
#: Size of `make load`.
APPROVALS ?= 1000
USERS ?= 100

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: demo
demo: setup ## show the product: start everything, run the story, print a summary, stop
	@$(BIN)/marketplace demo

.PHONY: run
run: setup ## start everything and keep it running, data under var/ (PORT=... for another port)
	@$(BIN)/marketplace run

.PHONY: observe
observe: setup ## as `make run`, with Prometheus and Alertmanager (which `make run` starts too where they are installed)
	@$(BIN)/marketplace run --observe

.PHONY: stop
stop: setup ## stop what `make run` started
	@$(BIN)/marketplace stop

.PHONY: status
status: setup ## tell where the running stack is
	@$(BIN)/marketplace status

.PHONY: test
test: setup setup-load setup-sbom ## run every test, with coverage (JOBS=3 processes)
	@rm -f .coverage .coverage.*
	$(BIN)/pytest --numprocesses=$(JOBS) --dist=worksteal --cov --cov-report=term --cov-fail-under=85

.PHONY: test-fast
test-fast: setup ## run the unit tests only
	$(BIN)/pytest tests/unit

.PHONY: coverage
coverage: test ## as `make test`, and write the lines that no test reaches to htmlcov/
	$(BIN)/coverage html

.PHONY: lint
lint: setup ## check with ruff, mypy (strict) and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: setup ## format the code and apply what ruff can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: artifacts
artifacts: setup ## write the generated files: reference pages, dashboards, rules
	$(BIN)/python -m deploy.artifacts

.PHONY: artifacts-check
artifacts-check: setup ## fail when a generated file differs from the committed one, or is new
	@drift=$$(git status --porcelain -- $$($(BIN)/python -m deploy.artifacts)); \
	if [ -n "$$drift" ]; then \
	  printf 'artifacts-check: run `make artifacts` and commit these files:\n%s\n' "$$drift"; exit 1; \
	fi; echo 'artifacts-check: every generated file is as committed'

.PHONY: image
image: setup ## build the container image with podman, buildah or docker (BASE=IMAGE from a registry; else on a local base)
	@$(BIN)/python -m deploy.image build $(if $(BASE),--base $(BASE))

.PHONY: image-base
image-base: setup ## make the image's local base from Debian's packages (needs mmdebstrap and root)
	@$(BIN)/python -m deploy.image base

.PHONY: image-sizes
image-sizes: setup ## print the sizes of the image and of its parts
	@$(BIN)/python -m deploy.image sizes

.PHONY: sbom
sbom: setup setup-sbom ## write the image's bill of materials (CycloneDX 1.6) to var/reports/sbom.json
	@$(BIN)/python -m deploy.image sbom var/reports/sbom.json

.PHONY: kube-play
kube-play: setup ## run the rendered chart in podman: approve a plan, kill workers, look at Prometheus, with a report
	@$(BIN)/python -m tests.kube_play

.PHONY: terraform
terraform: setup ## check the Terraform module: format, validity, tests with a stand-in for AWS (needs terraform)
	@$(BIN)/python -m deploy.terraform.check

.PHONY: compose-secrets
compose-secrets: setup ## make the secrets of deploy/compose.yaml that are missing, in deploy/secrets/
	@$(BIN)/python -m deploy.compose.secret_files

.PHONY: compose-check
compose-check: setup ## run deploy/compose.yaml on a Docker of its own, with a report (root; podman, mmdebstrap, dockerd, docker-compose)
	@$(BIN)/python -m tests.compose_check

.PHONY: load
load: setup setup-load ## 1,000 approvals at up to 100 users against a stack of its own, with a report
	@$(BIN)/python -m deploy.load --approvals $(APPROVALS) --users $(USERS)

.PHONY: bench
bench: setup ## latency and throughput beside a bare Dramatiq actor, with a report
	@$(BIN)/python -m tests.bench

.PHONY: bench-relay
bench-relay: setup ## alerts a second that the relay accepts on one core, and its memory with 100,000 issues, with a report
	@$(BIN)/python -m tests.relay_bench

.PHONY: sizing
sizing: setup ## memory, rows, connections and CPU time per job and per process, with a report (needs PostgreSQL)
	@$(BIN)/python -m tests.sizing $(if $(PAGE),--page $(PAGE))

.PHONY: scrape
scrape: setup ## time scrapes of one process and of 16 that count together, with a report
	@$(BIN)/python -m tests.bench --part scrape --database SQLite

.PHONY: timeouts
timeouts: setup ## compare a fixed timeout, the rule and the learned one on simulated agents, with a report
	@$(BIN)/python -m tests.timeouts

.PHONY: faults
faults: setup ## break things under load (kill, freeze, flush, lock ...) and count what is lost, with a report
	@$(BIN)/python -m tests.faults

.PHONY: approve-states
approve-states: setup ## time approvals while Redis is up, killed, frozen, full, read-only, refusing, silent, unreachable
	@$(BIN)/python -m tests.faults.approve

.PHONY: isolation
isolation: setup ## let one agent of six hang and measure the plans that do without it, with a report
	@$(BIN)/python -m tests.isolation

.PHONY: deadlines
deadlines: setup ## call servers that drip, hang, stop or swell, and time the end of each call, with a report
	@$(BIN)/python -m tests.deadlines

.PHONY: crash-points
crash-points: setup ## kill at every row of the crash table and measure the repair, with a report
	@$(BIN)/python -m tests.crash_points $(if $(PAGE),--page $(PAGE))

.PHONY: protocol
protocol: setup ## try to break the job protocol with random orders of moves and faults
	@$(BIN)/python -m tests.protocol

.PHONY: bulk-retry
bulk-retry: setup ## retry 1,000 dead letters by filter with a double click, and count what was done
	@$(BIN)/pytest tests/acceptance/test_cli_dead_letters.py -k thousand -n 0 -q --no-header -rP

.PHONY: quiet
quiet: setup ## a quarter of an hour of healthy load, observed: no alert may fire but Watchdog, with a report
	@$(BIN)/python -m tests.quiet

.PHONY: alert-path
alert-path: setup ## from faults to their messages in Slack, on a real stack with Prometheus and Alertmanager, with a report
	@$(BIN)/python -m tests.alert_path

.PHONY: alert-storm
alert-storm: setup ## 500 alerts of 20 issues: the relay is killed, Slack fails; every issue must be told once, with a report
	@$(BIN)/python -m tests.alert_storm

.PHONY: breakers
breakers: setup setup-compare ## cost and speed of the circuit breaker beside others, with a report
	@$(BIN)/python -m tests.breakers

.PHONY: picture
picture: setup ## record the demo as docs/pictures/demo.svg
	@$(BIN)/marketplace demo --svg docs/pictures/demo.svg

.PHONY: dashboard-pictures
dashboard-pictures: setup ## draw every dashboard from a real run as docs/pictures/dashboard-*.svg
	@$(BIN)/python -m tests.dashboard_pictures

.PHONY: setup
setup: ## make the virtual environment from the locked dependencies
	@deploy/setup.sh $(VENV) requirements/dev.lock editable

.PHONY: setup-load
setup-load: ## make Locust's own virtual environment
	@deploy/setup.sh .venv-load requirements/load.lock

.PHONY: setup-sbom
setup-sbom: ## make the virtual environment of what writes the bill of materials
	@deploy/setup.sh .venv-sbom requirements/sbom.lock

.PHONY: setup-compare
setup-compare: ## make the virtual environment of what `make breakers` compares with
	@deploy/setup.sh .venv-compare requirements/compare.lock

.PHONY: tools
tools: ## install the servers that the tests can use (Debian, as root), and bring Helm, hadolint and schemas
	@status=0; deploy/tools.sh || status=$$?; \
	$(MAKE) --no-print-directory setup && $(BIN)/python -m deploy.tools && exit $$status

.PHONY: lock
lock: ## resolve the locked dependencies anew (needs uv)
	deploy/lock.sh

.PHONY: clean
clean: ## remove what the targets made, but not var/ (data), the environments nor the tools
	[ ! -d .cache ] || find .cache -mindepth 1 -maxdepth 1 ! -name tools -exec rm -rf {} +
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov
	rm -f .coverage .coverage.*
	find app worker alerting monitoring loadtest deploy tests -name __pycache__ -prune -exec rm -rf {} +
