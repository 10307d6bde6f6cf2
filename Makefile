# Everything runs in .venv, which is made on demand from requirements.lock. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS := $(shell find protos -name '*.proto')

DATA ?=
FORMAT ?= $(if $(DATA),feed,demo)
DATE ?=
PORT ?= 8080
RUN_HOME ?= .banyan
SEEDS ?= 100
BENCH ?=
TESTS ?= tests

##@ Use

.PHONY: run
run: setup ## Start the whole system here and load the demo bank, or DATA=DIR FORMAT=feed|berka [DATE=YYYY-MM-DD]; Ctrl-C stops all
	$(BIN)/banyan run --port $(PORT) --home $(RUN_HOME) --format $(FORMAT) $(if $(DATA),--data $(DATA)) $(if $(DATE),--date $(DATE))

.PHONY: up
up: ## Start the system with docker-compose; makes its passwords the first time
	deploy/make-secrets
	docker compose up --build --detach --wait

.PHONY: down
down: ## Stop what `make up` started; data is kept
	docker compose down

##@ Develop

.PHONY: setup
setup: $(VENV)/.installed gen/.generated ## Make .venv and the generated code

.PHONY: test
test: setup ## Run every test, real servers included (TESTS=path for a part)
	$(BIN)/pytest $(TESTS)

.PHONY: soak
soak: setup ## Run the crash and simulation tests at length, SEEDS=100 of each
	$(BIN)/pytest --seeds $(SEEDS) -m soak --timeout 86400

.PHONY: bench
bench: setup ## Run the benchmarks (BENCH=name for one); prints a table, writes bench/results.json
	$(BIN)/python -m bench $(BENCH)

.PHONY: lint
lint: setup ## Run every linter and the type checker
	$(BIN)/buf lint
	$(BIN)/buf format protos --diff --exit-code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

.PHONY: format
format: setup ## Put code and protos into their one form
	$(BIN)/buf format protos --write
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: gen
gen: gen/.generated ## Generate code and the descriptor set from protos/

.PHONY: lock
lock: $(VENV)/.installed ## Pin all dependencies anew in requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url --all-extras \
		--custom-compile-command "make lock" pyproject.toml --output-file requirements.lock

.PHONY: clean
clean: ## Remove .venv and generated code; data under --home stays
	rm -rf $(VENV) gen

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

# uv comes from the lock too, by its hashes; it then installs the rest several times faster than pip.
$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed; set PYTHON=..."'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	printf '%s\n' "$(CURDIR)" "$(CURDIR)/gen" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/banyan.pth"
	printf '#!%s\nfrom cli.main import app\n\napp()\n' "$(CURDIR)/$(BIN)/python" > $(BIN)/banyan
	chmod +x $(BIN)/banyan
	touch $@

# Google's protos come from their wheel; buf and protoc need them as files, one of them under its real name.
# Made beside the old one, which stays whole if a proto is wrong.
gen/.generated: $(PROTOS) $(VENV)/.installed
	rm -rf gen.new && mkdir -p gen.new/third_party/google/longrunning
	cd "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" && \
		cp --parents google/api/{annotations,http,httpbody,client,launch_stage,field_behavior,field_info,resource}.proto \
			google/rpc/{status,error_details}.proto google/type/{date,money}.proto "$(CURDIR)/gen.new/third_party" && \
		cp google/longrunning/operations_proto.proto "$(CURDIR)/gen.new/third_party/google/longrunning/operations.proto"
	$(BIN)/python -m grpc_tools.protoc -I protos -I gen.new/third_party \
		--python_out=gen.new --pyi_out=gen.new --grpc_python_out=gen.new \
		$(PROTOS)
	$(BIN)/python -m grpc_tools.protoc -I protos -I gen.new/third_party --include_imports --include_source_info \
		--descriptor_set_out=gen.new/banyan.desc $(PROTOS) google/rpc/status.proto google/rpc/error_details.proto
	rm -rf gen && mv gen.new gen
	touch $@
