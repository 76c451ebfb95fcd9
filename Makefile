# Commonwatt: each target sets up what it needs. Python ≥ 3.11 and make are enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo test browsers check bench soak year dash-shots docs locale dashboards firmware clean

help: ## Show what can be made.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Commonwatt needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@touch $(READY)

install: $(READY) ## Create .venv with every extra.

demo: $(READY) ## Run a commune of ten homes; KEEP=1 to open it in a browser, TLS=1 on a phone; HOMES=40, DAYS=7, SPEED=1440, FAULTS=1, SEED=1, POLICY=file, INFLUX=URL.
	@exec env HOMES='$(HOMES)' DAYS='$(DAYS)' SPEED='$(SPEED)' FAULTS='$(FAULTS)' SEED='$(SEED)' BROKER='$(BROKER)' INFLUX='$(INFLUX)' KEEP='$(KEEP)' TLS='$(TLS)' $(if $(POLICY),POLICY='$(POLICY)') $(BIN)/commonwatt demo

test: $(READY) ## Run the tests that need no browser (under ten minutes on two cores).
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m 'not soak and not browser'

browsers: $(READY) ## Run the tests of the pages in a real browser: chromium (minutes); SHOTS=DIR keeps a picture of every page.
	@SHOTS='$(SHOTS)' $(BIN)/python -m pytest -n 2 --dist loadgroup -m 'not soak and browser'

check: $(READY) ## Check formatting, types, import contracts, format specifications and docs.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/docs tests/commonwatt/test_cddl.py

bench: $(READY) ## Measure every figure beside its limit.
	@$(BIN)/commonwatt bench all

soak: $(READY) ## Run the large, seeded counts (an hour); the output is kept in docs/measured/soak.txt.
	@{ git describe --always --dirty; nproc; $(BIN)/python --version; } > docs/measured/soak.txt
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m soak --durations=0 >> docs/measured/soak.txt; \
	status=$$?; tail -n 3 docs/measured/soak.txt; exit $$status

year: $(READY) ## Live a year of ten homes three times, clean, mangled and late, and compare the books (minutes).
	@rm -rf var/year
	@$(BIN)/python -m tests.sim.year var/year

dash-shots: $(READY) ## Draw every dashboard with Grafana's components, filled by the demo (minutes); FRESH=1.
	@FRESH='$(FRESH)' $(BIN)/python -m dashboards.shots

firmware: $(READY) ## Compile the firmware; one archive for each board in firmware/build.
	@$(BIN)/commonwatt device build

docs: $(READY) ## Check that the documentation is true: every example is run.
	@$(BIN)/python -m pytest tests/docs

locale: $(READY) ## Extract, merge and compile the French texts; lists what has none yet.
	@$(BIN)/python commonwatt/locale/make_locale.py

dashboards: $(READY) ## Build Grafana's dashboards and alerts; DOCS=https://… is where your pages of docs/operating are.
	@DOCS='$(DOCS)' $(BIN)/python -m dashboards.build

clean: ## Remove what the targets made.
	rm -rf $(VENV) var dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache firmware/build
