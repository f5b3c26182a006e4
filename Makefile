# One command for each thing that one does with this clone; `make` alone lists them.
# Nothing is installed outside .venv/ but a cache of downloads (XDG_CACHE_HOME, by default ~/.cache).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 3
TESTS ?= tests
PROTOS := $(sort $(shell find protos -name '*.proto' 2>/dev/null))
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes
PROTOC := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I .
LOCK_ANY := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links
LOCK := $(LOCK_ANY) pyproject.toml

# The checks must not depend on a running stack or on the settings of whoever runs them; nothing connects to these.
CHECK_ENVIRONMENT := MOVIEAPP_STATE_DIR=$(VENV)/none DJANGO_SETTINGS_MODULE=movieapp.settings \
	DJANGO_SECRET_KEY=for-checks-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ DJANGO_ALLOWED_HOSTS=example.org \
	DJANGO_DEBUG=false DJANGO_INSECURE_LOCAL_HTTP=false DATABASE_URL=postgresql://nobody@127.0.0.1:1/nothing \
	KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1

# Flags of make itself (-j, -n …) mean nothing to what the recipes start.
unexport MAKEFLAGS
.DEFAULT_GOAL := help
.PHONY: help run test check lint fmt protos protos-check protos-baseline tools mutations bench bench-grpc soak lock

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/.devstack ## start Postgres, Kafka, web, consumer and gRPC services here; Ctrl-C stops them
	@$(BIN)/python -m movieapp.devstack

test: $(VENV)/.dev ## the whole suite on a real Postgres and a real Kafka (TESTS=… for a part)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

check: lint test ## everything that a change must pass

lint: $(VENV)/.dev protos-check ## what `check` does before the tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(CHECK_ENVIRONMENT) $(BIN)/mypy
	@$(BIN)/lint-imports
	@$(CHECK_ENVIRONMENT) $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	@$(CHECK_ENVIRONMENT) $(BIN)/python manage.py check --deploy --fail-level WARNING

fmt: $(VENV)/.dev ## format, and mend what can be mended by itself
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

protos: $(VENV)/.dev ## regenerate the modules beside the .proto files
	@$(if $(PROTOS),$(PROTOC) --python_out=. --grpc_python_out=. --mypy_out=quiet:. --mypy_grpc_out=quiet:. $(PROTOS),echo "no .proto files")

protos-check: $(VENV)/.dev
	@$(if $(PROTOS),fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	  $(PROTOC) --python_out=$$fresh --grpc_python_out=$$fresh --mypy_out=quiet:$$fresh --mypy_grpc_out=quiet:$$fresh $(PROTOS) && \
	  for file in $$(cd $$fresh && find . -type f); do \
	    cmp -s $$fresh/$$file $$file || { echo "$$file is not what its .proto says: run 'make protos'" >&2; exit 1; }; \
	  done; \
	  for file in $$(find protos -name '*_pb2*.py*' -not -path '*/__pycache__/*'); do \
	    [ -e $$fresh/$$file ] || { echo "$$file is of a .proto that is gone: delete it" >&2; exit 1; }; \
	  done,:)
	@$(BIN)/buf lint
	@$(BIN)/buf breaking --against protos/baseline.binpb

protos-baseline: $(VENV)/.dev ## at a release: what the .proto files say now is what must not be broken
	@$(BIN)/buf build --exclude-source-info -o protos/baseline.binpb

tools: $(VENV)/.dev ## get what only the tests run, once for all clones: Consul (built: some six minutes) and Node.js packages
	@$(BIN)/python -m tests.fixtures.tools

mutations: $(VENV)/.dev ## plant faults in copies of the source: the tests must find each (MUTATIONS=… for some, by name)
	@$(BIN)/python -m tests.mutations $(if $(MUTATIONS),--only $(MUTATIONS))

bench: $(VENV)/.dev ## measure ingestion beside its limits and beside Pathway (BENCH=… for options; an hour)
	@$(BIN)/python -m tests.bench.ingest $(BENCH)

bench-grpc: $(VENV)/.dev ## measure our gRPC services beside an empty handler (BENCH=… for options; a quarter of an hour)
	@$(BIN)/python -m tests.bench.grpc $(BENCH)

soak: $(VENV)/.dev ## the tests that take long: many repetitions, long runs, millions of rows
	@$(BIN)/python -m pytest -n 2 -m soak tests

lock: $(VENV)/.dev ## resolve the dependencies anew: the five requirements and Kafka's jars
	$(LOCK) -o requirements/base.lock
	$(LOCK) --extra devstack -o requirements/devstack.lock
	$(LOCK) --extra devstack --extra dev -o requirements/dev.lock
	$(LOCK_ANY) requirements/bench.in -o requirements/bench.lock
	$(LOCK_ANY) requirements/tools.in -o requirements/tools.lock
	$(BIN)/python -m movieapp.devstack.kafka_jars

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit("movieapp wants Python 3.11 or later, and $(PYTHON) is %s: name another one, as in make PYTHON=python3.12" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.devstack: requirements/devstack.lock | $(VENV)/.python
	@echo "Installing packages into $(VENV) (once; half a minute or so) …"
	@$(PIP) -r requirements/devstack.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock | $(VENV)/.python
	@echo "Installing packages and tools into $(VENV) (once; a minute or so) …"
	@$(PIP) -r requirements/dev.lock
	@touch $@ $(VENV)/.devstack
