# Every target sets up what it needs; a second call installs nothing.
.DEFAULT_GOAL := help
.PHONY: help run install serve deploy path docs test types types-and-million check bench chaos teaches

HANDLE ?= u22a8.technical-writing
SYNTH_TYPE ?= from_traits
EFFORT ?= low
# Only from the command line: other programs use a variable of this name.
override MODEL := $(if $(findstring command line,$(origin MODEL)),$(MODEL))
VENV := .venv
BIN := $(VENV)/bin
SAY_PATH = case ":$$PATH:" in *":$(abspath $(BIN)):"*) ;; *) printf '%s\n' \
  'To use `exemplars` and `python` of $(VENV), run this once in each terminal:' \
  '  export PATH="$$PWD/$(BIN):$$PATH"';; esac
# Prefect would send statistics, and say so on a terminal.
DO_NOT_TRACK ?= 1
PREFECT_SERVER_ANALYTICS_ENABLED ?= false
export DO_NOT_TRACK PREFECT_SERVER_ANALYTICS_ENABLED

help:
	@echo "make run     synthesize $(HANDLE) with an embedded model (HANDLE=… SYNTH_TYPE=… EFFORT=… MODEL=… for another)"
	@echo "make install the program in .venv, with what make run needs and the tools for agents (exemplars mcp)"
	@echo "make serve   Prefect's server and UI, a worker and the HTTP API on this machine, until Ctrl-C"
	@echo "make deploy  work pool, queues, deployments and automations on the Prefect server at PREFECT_API_URL"
	@echo "make docs    the documentation, with a search, into site/"
	@echo "make test    every test"
	@echo "make check   format, lint, types, import contracts, tests: what CI runs"
	@echo "make bench   the benchmarks"
	@echo "make chaos   long races, kills, fuzzing; then a table each of kills, faults, budgets and outages: over an hour"
	@echo "make teaches do samples teach? Tests on real texts, five draws; takes hours"

run: $(VENV)/.run $(if $(MODEL)$(EXEMPLARS_SYNTH_MODEL),,$(VENV)/.model)
	@$(if $(MODEL),$(BIN)/exemplars models get "$(MODEL)" >/dev/null)
	@$(if $(MODEL),EXEMPLARS_SYNTH_MODEL="embedded/$(MODEL)") \
	$(BIN)/exemplars synthesize "$(HANDLE)" --synth-type "$(SYNTH_TYPE)" --effort "$(EFFORT)"; \
	code=$$?; $(SAY_PATH); exit $$code

install: $(VENV)/.mcp path

serve: $(VENV)/.run path
	@$(BIN)/python -m flows.serve

deploy: $(VENV)/.run
	@$(BIN)/python -m flows.deploy

path:
	@$(SAY_PATH)

docs: $(VENV)/.dev
	@$(BIN)/cog -r --verbosity=1 -I scripts -p "import reference" docs/reference/*.md docs/guides/operate/*.md \
	  docs/start/notebook.md docs/start/own-texts.md
	@PYTHONPATH=scripts $(BIN)/python -c "import reference; reference.write_schemas(); reference.write_vectors()"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open site/index.html"

# On two cores: one process for the stack's tests (tests/conftest.py), mostly waiting, and two for the others. Each
# takes 45 CPU seconds for imports and a Prefect server of its own.
test: $(VENV)/.dev
	$(BIN)/pytest tests --ignore=tests/bench -n 3 --no-loadscope-reorder

# Types and a benchmark of CPU seconds run parallel to the tests: they take one core for a minute and a half.
check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	@$(MAKE) --no-print-directory -j 2 types-and-million test
	$(BIN)/pytest tests/bench/test_process.py -m short -s

types-and-million: types
	$(BIN)/pytest tests/bench/test_million.py -m short -s

types: $(VENV)/.dev
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/pytest tests/bench -s

chaos: $(VENV)/.dev
	LONG=1 $(BIN)/pytest tests -m long -n 2 -rP --show-capture=stdout
	PYTHONPATH=tests $(BIN)/python -m chaos.rounds $(ROUNDS)

teaches: $(VENV)/.teaches
	PYTHONPATH=tests $(BIN)/python -m bench.teaches.run
	PYTHONPATH=tests $(BIN)/python -m bench.teaches.run --bare --efforts high
	PYTHONPATH=tests $(BIN)/python -m bench.teaches.suggested

$(VENV)/.run: requirements.lock pyproject.toml scripts/set-up
	@scripts/set-up $(VENV) requirements.lock
	@touch $@

# requirements.lock and the extra `mcp`.
$(VENV)/.mcp: requirements-mcp.lock pyproject.toml scripts/set-up
	@scripts/set-up $(VENV) requirements-mcp.lock
	@touch $(VENV)/.run $@

# Without it, SmolLM2 of the lock file is used.
$(VENV)/.model: | $(VENV)/.run
	@if $(BIN)/exemplars models get qwen2.5-coder-0.5b >/dev/null; then touch $@; \
	else echo "embedded/smollm2-135m is used for now. The next make run tries again" >&2; fi

$(VENV)/.dev: requirements-dev.lock pyproject.toml scripts/set-up
	@scripts/set-up $(VENV) requirements-dev.lock
	@touch $(VENV)/.run $(VENV)/.mcp $@

$(VENV)/.teaches: requirements-teaches.lock pyproject.toml scripts/set-up
	@scripts/set-up $(VENV) requirements-teaches.lock
	@touch $(VENV)/.run $(VENV)/.mcp $(VENV)/.dev $@
