# Two commands: `make solve` and `make test`. Each target makes its own environment and installs what it
# needs; nothing but Python 3.10+ and make is assumed.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints.txt
RESULTS := runs/results

.PHONY: solve test check fix all-tests docs release results clean

solve: $(VENV)/.local  ## watch HGS solve problems that chain of thought gets wrong
	$(BIN)/stepnav solve --hard 3 --seed 4

test: $(VENV)/.dev  ## run the tests, one process for each core
	$(BIN)/python -m pytest -n auto --dist loadfile

all-tests: $(VENV)/.dev  ## run the slow tests too
	$(BIN)/python -m pytest -m "not gpu and not network"

check: $(VENV)/.dev  ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.docs  ## the documents as a site, in site/; every warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

fix: $(VENV)/.dev  ## format, and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "stepnav needs Python 3.10 or newer, found " + sys.version.split()[0] + "; name another one: make PYTHON=python3.12")'
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

results: $(VENV)/.dev  ## make the figures of docs/results.md again (about an hour on two cores; resumable)
	$(BIN)/stepnav bench --out $(RESULTS)/headline --resume --split test --problems 500 --strategies \
	  cot,hgs,hgs:temperature=0.1,best_of_n:samples=18,weighted_vote:samples=18,self_consistency:samples=18,beam:beam_size=1:branching=8
	$(BIN)/stepnav bench --out $(RESULTS)/equal --resume --split test --problems 200 --budgets 250,500,1000,2000 --strategies \
	  cot,self_consistency,best_of_n,weighted_vote,beam:beam_size=1:branching=8,beam,hgs
	$(BIN)/stepnav bench --out $(RESULTS)/path --resume --split dev --seed 1 --problems 100 --strategies cot,hgs,hgs:proposal=path
	$(BIN)/stepnav bench --out $(RESULTS)/temperature --resume --split dev --seed 1 --problems 150 --strategies \
	  cot,hgs:temperature=0.3,hgs:temperature=0.5,hgs:temperature=0.7,hgs
	$(BIN)/stepnav bench --out $(RESULTS)/iterations --resume --split dev --seed 1 --problems 150 --strategies \
	  cot,hgs:max_draws=30,hgs:max_draws=50
	$(BIN)/stepnav bench --out $(RESULTS)/code --resume --task micro-python --split test --problems 500 --strategies \
	  cot,hgs,hgs:temperature=0.2,best_of_n:samples=18,weighted_vote:samples=18,self_consistency:samples=18
	$(BIN)/stepnav bench --out $(RESULTS)/code_equal --resume --task micro-python --split test --problems 200 --budgets 250,500,1000,2000 --strategies \
	  cot,self_consistency,best_of_n,weighted_vote,beam:beam_size=1:branching=8,beam,hgs
	$(BIN)/python benchmarks/publish.py $(RESULTS)

clean:  ## remove the environment and all caches
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
