# Lucid TRON Payments: make help
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
MONGO  := build/mongo-server
export PYTHONDONTWRITEBYTECODE ?=

.DEFAULT_GOAL := help
.PHONY: help run demo devnet test check soak mongo-server bench fmt docs proto clients vectors constraints clean

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/.prod: requirements-prod.txt constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "install python3 and python3-venv first"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "Python 3.11 to 3.13 is needed; say PYTHON=python3.12, for example"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "the venv module is missing: apt-get install python3-venv"; exit 1; }
	@echo "installing what the services run on …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-prod.txt
	@touch $@

$(BIN)/.dev: $(BIN)/.prod requirements.txt
	@echo "installing what development and tests need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(MONGO)/.installed: tests/mongo-requirements.txt
	@test -x $(MONGO)/bin/python || $(PYTHON) -m venv $(MONGO) \
		|| { rm -rf $(MONGO); echo "the venv module is missing: apt-get install python3-venv"; exit 1; }
	@echo "installing the database server that tests run against …"
	@$(MONGO)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/mongo-requirements.txt
	@touch $@

mongo-server: $(MONGO)/.installed ## the MongoDB server of the tests, in a virtual environment of its own

run: $(BIN)/.prod ## devnet and the six services on this machine; Ctrl-C stops all
	@exec $(BIN)/python -m services run

demo: $(BIN)/.prod ## the whole story: an invoice paid, three payouts confirmed
	@$(BIN)/python -m services demo

devnet: $(BIN)/.prod ## the node double alone, with funded accounts; ARGS="--speed 20 --followers 2"
	@exec $(BIN)/python -m devnet --guide $(ARGS)

check: $(BIN)/.dev ## format, lint, types, imports, dependencies, unit tests; under a minute
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > $(VENV)/lint-imports.txt 2>&1 || { cat $(VENV)/lint-imports.txt; exit 1; }
	@$(BIN)/deptry . > $(VENV)/deptry.txt 2>&1 || { cat $(VENV)/deptry.txt; exit 1; }
	@$(BIN)/python -m pytest -m "not system and not property and not clients and not mongodb and not containers" -n auto

test: check clients $(if $(TEST_MONGO_URL),,mongo-server) ## check, then property, MongoDB, client and system tests
	@$(BIN)/python -m pytest -m "property" -n auto
	@$(BIN)/python -m pytest -m "mongodb and not system" -n auto
	@$(BIN)/python -m pytest -m "clients" -n auto -rs
	@$(BIN)/python -m pytest -m "system"

soak: $(BIN)/.dev ## what chance decides, for half an hour; SEEDS=500 DEATHS=60 SCANS=3
	@$(BIN)/python -m tests.soak

bench: $(BIN)/.dev $(if $(TEST_MONGO_URL),,mongo-server) ## speed and size, beside a limit from the same run
	@$(BIN)/python -m tests.bench

fmt: $(BIN)/.dev ## format and mend what can be mended
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

docs: $(BIN)/.dev ## write the generated tables into the READMEs
	@$(BIN)/python -m tests.docs
	@$(BIN)/python -m devnet.scenarios.readme

proto: $(BIN)/.dev ## regenerate the protobuf code
	@$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. shared/tron/protocol.proto devnet/chain.proto

# Without Node.js, or where npm cannot install, the tests that need tronweb are skipped and say so.
build/clients/.installed: tests/devnet/clients/package.json tests/devnet/clients/package-lock.json
	@mkdir -p $(@D) && cp $^ $(@D) && rm -f $@
	@if ! command -v npm >/dev/null; then echo "npm is missing: nothing is tried with tronweb"; \
	else echo "installing tronweb for the tests …"; \
		npm ci --prefix $(@D) --ignore-scripts --fetch-retries=1 --no-audit --no-fund --silent && touch $@ \
		|| echo "npm could not install: nothing is tried with tronweb"; fi

clients: build/clients/.installed ## install tronweb, which the devnet is tried with; needs npm

vectors: $(BIN)/.dev clients ## have tronweb build again what our transactions are compared with
	@$(BIN)/python -m tests.devnet.clients.vectors

constraints: $(BIN)/.dev ## write down every version that is installed
	@$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

include docker/containers.mk

clean: ## remove caches and the virtual environment; never data
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build
	@find . -name __pycache__ -prune -exec rm -rf {} +
