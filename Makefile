# Every target does its own set-up: a virtual environment, the dependencies, then the job.
# Needed: make and Python 3.11 or newer (make PYTHON=python3.12 chooses one).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo test lint types benchmark panel strangers robustness timelines models sample librispeech clean

help: ## explain the targets
	@echo "speakerid: who is speaking?  Targets:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; make PYTHON=python3.12 names one" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "no virtual environment: install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[media,test]'
	@touch $@

install: $(READY) ## make the virtual environment; then: source .venv/bin/activate
	@echo "Ready. Now: source $(BIN)/activate"

demo: $(READY) ## the whole job on the sample recordings, in under a minute
	@$(BIN)/speakerid demo

test: lint types ## everything that must hold: format, lint, types, tests, coverage
	$(BIN)/python -m pytest --cov --cov-report=term

lint: $(READY) ## formatting and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY) ## strict type checks of the package
	$(BIN)/mypy

benchmark: $(READY) ## speed against librosa and scikit-learn; writes benchmarks/README.md
	$(BIN)/python -m benchmarks.run

panel: $(READY) ## accuracy on the shared protocols; writes its part of benchmarks/README.md
	$(BIN)/python -m benchmarks.panel

strangers: $(READY) ## strangers, calibration, damaged recordings on the shared protocols; writes docs/strangers.md
	$(BIN)/python -m benchmarks.strangers

robustness: $(READY) ## noise, rooms and narrow bands on the shared protocols; writes docs/robustness.md
	$(BIN)/python -m benchmarks.robustness

timelines: $(READY) ## who speaks when: conversations, meetings, an hour; writes its tables into docs/timelines.md
	$(BIN)/python -m benchmarks.timelines

models: $(READY) ## make what comes with the program: world models and calibration, from the shared corpora
	$(BIN)/python data/make_models.py

sample: $(READY) ## make the sample recordings again (needs Debian's speech synthesizers, see data/)
	$(BIN)/python data/make_sample.py

librispeech: $(READY) ## get LibriSpeech dev-clean (338 MB) and lay it out in data/librispeech-dev-clean
	$(BIN)/python data/fetch_librispeech.py

clean: ## remove the virtual environment and what the tools leave
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage build dist
