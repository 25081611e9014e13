# Everything a checkout needs. State goes to .stack/, downloads to the user's cache folder.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test power-loss offline-day up down status logs doctor lint format reference clean-stack

BIN := .venv/bin
LIBRARIES := $(patsubst %/pyproject.toml,%,$(wildcard libs/*/pyproject.toml tools/*/pyproject.toml))
SERVICES := $(patsubst %/pyproject.toml,%,$(wildcard services/*/pyproject.toml))
PACKAGES := common tollgate stack demo chaos reference bench $(notdir $(SERVICES))
INSTALLED := .venv/.installed
ARGS ?=
SEED ?=
MINUTES ?=
FAULTS ?=
KINDS ?=
NAME ?=
SCALE ?= 5
HOURS ?= 24
MB_PER_HOUR ?= 50

help: ## this list
	@echo "Tollgate: meters, rates, invoices and throttles what tenants use."
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 22
	@echo "Variables: STACK=native|embedded|compose (or kafka:native,postgres:embedded) picks the servers,"
	@echo "           TOLLGATE_BASE_PORT=8100 moves every port, so that two checkouts run side by side;"
	@echo "           TOLLGATE_STATE=.stack is the folder of the state."

demo: $(INSTALLED) ## one event's way from an edge to an invoice, reconciled to the cent (KEEP=1 leaves it running)
	@$(BIN)/python -m demo $(ARGS)

test: $(INSTALLED) ## all tests, on servers of their own (ARGS="tests/unit -k money" narrows)
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: simulate
simulate: $(INSTALLED) ## the stages under random faults in virtual time (SEED=0 RUNS=2000; one seed is one run)
	@$(BIN)/python -m tests.simulation --seed $(or $(SEED),0) --runs $(or $(RUNS),2000)

.PHONY: mutants
mutants: $(INSTALLED) ## remove each protection in turn and see which test notices; the table goes into docs/promises.md (RUNS=300)
	@$(BIN)/python -m tests.mutants --runs $(or $(RUNS),300)

CASES ?= 1000000
.PHONY: rating-oracle
rating-oracle: $(INSTALLED) ## rate CASES random prices twice: by the product and by a second implementation
	@$(BIN)/python -m tests.unit.rating.agreement --cases $(CASES)

.PHONY: calendar-sweep
calendar-sweep: $(INSTALLED) ## billing periods of every anchor day around every change of eleven zones' clocks since 1985
	@CALENDAR_SWEEP=1 $(BIN)/python -m pytest -q tests/unit/common/test_calendar_sweep.py

.PHONY: mutation
mutation: $(INSTALLED) ## change the code that rates, bit by bit, and see whether its tests notice (FILES=rating/price.py)
	@$(BIN)/python -m tests.mutation $(FILES)

BENCH = $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED)) $(if $(PUBLISH),--publish) $(if $(PROFILE),--profile)
.PHONY: bench bench-quick
bench: $(INSTALLED) ## how fast it is, beside the machine's ceilings (ONLY=stages, SEED=7, PUBLISH=1 into docs/performance.md)
	@$(BIN)/python -m bench $(BENCH)

bench-quick: $(INSTALLED) ## the same in about two minutes
	@$(BIN)/python -m bench --scale quick $(BENCH)

.PHONY: chaos
chaos: $(INSTALLED) ## faults on the real servers under load, then everything is counted (SEED=7 MINUTES=10 FAULTS=200)
	@SEED=$(SEED) MINUTES=$(MINUTES) FAULTS=$(FAULTS) KINDS=$(KINDS) $(BIN)/python -m chaos $(ARGS)

up: $(INSTALLED) ## start the servers and the services, or what of them is missing
	@$(BIN)/tollgate-stack up

down: $(INSTALLED) ## stop everything; data and logs stay
	@$(BIN)/tollgate-stack down

status: $(INSTALLED) ## each process with its id, port, health and lag
	@$(BIN)/tollgate-stack status

logs: $(INSTALLED) ## the ends of all logs (NAME=aggregator for one, FOLLOW=1 to go on)
	@$(BIN)/tollgate-stack logs $(NAME) $(if $(FOLLOW),--follow,)

doctor: $(INSTALLED) ## which servers this machine would get, and why
	@$(BIN)/tollgate-stack doctor

offline-day: $(INSTALLED) ## an edge comes back after a day without the centre (HOURS=24 MB_PER_HOUR=50)
	@TOLLGATE_OFFLINE_HOURS=$(HOURS) TOLLGATE_OFFLINE_MB_PER_HOUR=$(MB_PER_HOUR) \
	  $(BIN)/python -m pytest -s tests/e2e/test_offline_day.py

power-loss: $(INSTALLED) ## cut the power after each system call of a collector's files (SCALE=20 for longer lives)
	@TOLLGATE_POWER_LOSS_SCALE=$(SCALE) $(BIN)/python -m pytest -s --timeout 0 tests/simulation/power_loss

lint: $(INSTALLED) ## ruff, mypy --strict, who may import whom, and docs/reference up to date
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(addprefix -p ,$(PACKAGES))
	@$(BIN)/lint-imports
	@$(BIN)/python -m reference --check

format: $(INSTALLED) ## rewrite the code as ruff would have it
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

reference: $(INSTALLED) ## write docs/reference from the code
	@$(BIN)/python -m reference

clean-stack: $(INSTALLED) ## stop everything and remove .stack/ (downloads stay in the cache folder)
	@$(BIN)/tollgate-stack clean

# The environment, made again only when its inputs change. uv installs; pip does where uv cannot
# reach the package index that pip is configured for.
$(INSTALLED): constraints.txt requirements-dev.in $(addsuffix /pyproject.toml,$(LIBRARIES) $(SERVICES))
	@.ci/bootstrap $(addprefix -e ./,$(LIBRARIES) $(SERVICES))
	@touch $@
