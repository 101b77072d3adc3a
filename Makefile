# Two commands: `make solve` and `make test`. Each target makes its own environment and installs what it
# needs; nothing but Python 3.11+ and make is assumed.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints.txt
RESULTS := runs/results
BUDGETS := 250,1000

.PHONY: solve test check fix all-tests docs release tune tuned results results-all rivals near large voting grid rl ablations documents clean

solve: $(VENV)/.local  ## watch HGS solve problems that chain of thought gets wrong
	$(BIN)/stepnav solve --hard 3 --seed 5

test: $(VENV)/.dev  ## run the tests, one process for each core
	$(BIN)/python -m pytest -n auto --dist loadfile

all-tests: $(VENV)/.dev  ## run the slow tests too
	$(BIN)/python -m pytest -m "not gpu and not network"

check: $(VENV)/.dev  ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# not --quiet, which hides the warnings that --strict counts
docs: $(VENV)/.docs  ## the documents as a site, in site/; every warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

release:  ## sdist and wheel in dist/, checked, and tried in a bare environment
	PYTHON=$(PYTHON) bash .ci/release

fix: $(VENV)/.dev  ## format, and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "stepnav needs Python 3.11 or newer, found " + sys.version.split()[0] + "; name another one: make PYTHON=python3.13")'
	$(PYTHON) -m venv $(VENV)

# torch is installed first and by its exact version: where a platform's index offers several builds,
# the others would otherwise be chosen by the packages that need it.
$(VENV)/.torch: $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' $(CONSTRAINTS))"
	touch $@

$(VENV)/.local: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[local]'
	touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dev]'
	touch $@ $(VENV)/.local

$(VENV)/.docs: $(CONSTRAINTS) pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[docs]'
	touch $@

tune: $(VENV)/.dev  ## find each strategy's best options on the dev split (resumable)
	$(BIN)/python benchmarks/results.py $(RESULTS) --tune $(BUDGETS)

tuned: $(VENV)/.dev  ## all strategies at the options that `make tune` found (resumable)
	$(BIN)/python benchmarks/results.py $(RESULTS) --tuned

near: $(VENV)/.dev  ## what came nearest to nav there, from three seeds (resumable)
	$(BIN)/python benchmarks/results.py $(RESULTS) --near

large: $(VENV)/.dev  ## the nearest to nav at 4,000 tokens (resumable)
	$(BIN)/python benchmarks/results.py $(RESULTS) --large

results: $(VENV)/.dev  ## make the figures of docs/results.md again, telling what it costs first (resumable)
	$(BIN)/python benchmarks/results.py $(RESULTS)

results-all: $(VENV)/.dev  ## the same with six budgets and three seeds, in the background (resumable)
	mkdir -p $(RESULTS)
	nohup $(BIN)/python benchmarks/results.py $(RESULTS) --all > $(RESULTS)/all.log 2>&1 &
	@echo "in the background; follow it with: tail -f $(RESULTS)/all.log"

rivals: $(VENV)/.dev  ## tree of thoughts, MCTS and the rest beside nav, at their defaults (resumable)
	$(BIN)/python benchmarks/results.py $(RESULTS) --rivals

voting: $(VENV)/.dev  ## votes of 1 to 256 samples beside hgs and nav (resumable)
	$(BIN)/python benchmarks/results.py $(RESULTS) --voting

grid: $(VENV)/.dev  ## where search pays: policies of five strengths by simulated reward models of five (resumable)
	$(BIN)/python benchmarks/grid.py --out $(RESULTS)/grid
	$(BIN)/python benchmarks/publish.py $(RESULTS)

documents: $(VENV)/.dev  ## docs/results.md and docs/reviewers.md from their notes and the published reports
	$(BIN)/python benchmarks/publish.py

$(VENV)/.rl: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[rl]'
	touch $@

rl: $(VENV)/.rl  ## GRPO, expert iteration and fine-tuning, each with and without search (resumable)
	$(BIN)/python benchmarks/rl.py --out $(RESULTS)/rl --publish

ablations: $(VENV)/.dev  ## reward models by head, base, labels and step boundaries, and what each buys (resumable)
	$(BIN)/python benchmarks/ablations.py --out $(RESULTS)/ablations --publish

clean:  ## remove the environment and all caches
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
