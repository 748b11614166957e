# What one does with a checkout. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
STAMP := $(VENV)/.installed
# The first of these that runs and is new enough; `make env PYTHON=/path/to/python` chooses another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { echo $$p; break; }; done)
RESULTS := results

# All that follows, the jobs of the workflow too, runs in the environment of this checkout.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
unexport PYTHONPATH PYTHONHOME

.PHONY: help env lock docs demo paper imagenet-shape test bench check format clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## make the Python environment .venv from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		echo "error: Python 3.11 or newer is needed and none was found: install it, or run" \
			"'make $(MAKECMDGOALS) PYTHON=/path/to/python'" >&2; exit 1; fi
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { \
		echo "error: Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version):" \
			"give another with PYTHON=" >&2; exit 1; }
	@echo "making $(VENV) with $(PYTHON); the first time this takes some minutes"
	[ -x $(VENV)/bin/pip ] || $(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lock: ## resolve the dependencies of pyproject.toml anew into requirements.lock
	tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(PYTHON) -m venv "$$tools"; \
	"$$tools/bin/pip" install --quiet --disable-pip-version-check uv; \
	"$$tools/bin/uv" pip compile pyproject.toml --extra dev --extra cluster --python-version 3.11 \
		--generate-hashes --no-header -o requirements.lock

docs: $(STAMP) ## write docs/settings.md from the schema
	python -m tessera.config.reference > docs/settings.md

# Runs, and makes the report anew when the page is newer: that is made after all else.
define run_and_report
@snakemake $(1)
@if [ ! $(RESULTS)/report.html -nt $(RESULTS)/index.json ]; then \
	snakemake --report $(RESULTS)/.report.html $(1) && mv $(RESULTS)/.report.html \
		$(RESULTS)/report.html; \
fi
@tessera where $(2)
endef

demo: $(STAMP) ## run the short default experiment: train, sample, evaluate, report
	$(call run_and_report,--configfile configs/demo.yaml,--configfile configs/demo.yaml)

paper: $(STAMP) ## run all of the default experiment: every table, figure and picture
	$(call run_and_report,paper)

# Import what is not imported yet: a record is written last, so it means that all is there.
SHAPE := results-imagenet-shape/stand-ins
imagenet-shape: $(STAMP) ## rehearse the ImageNet experiment: true shapes, stand-ins for data and weights
	@tessera stand-ins $(SHAPE)
	@[ -f $(SHAPE)/dinov2-base/published.json ] || tessera import digit encoder \
		$(SHAPE)/dinov2_vitb14_reg4_pretrain.pth --model dinov2_base --out $(SHAPE)/dinov2-base
	@[ -f $(SHAPE)/vqgan/published.json ] || tessera import digit autoencoder \
		$(SHAPE)/vqgan_f16.ckpt --out $(SHAPE)/vqgan
	@snakemake $(ONLY) --configfile configs/imagenet-shape.yaml

test: $(STAMP) ## run all tests; a warning is an error
	python -m pytest

# Each benchmark also prints its JSON alone: python -m benchmarks.NAME
bench: $(STAMP) ## measure speed and memory, and compare with what was last committed
	python -m benchmarks.run --device cpu

check: $(STAMP) ## check style, types, imports, the workflow and the stages' versions
	ruff check
	ruff format --check
	mypy
	lint-imports --no-logo
	snakefmt --check Snakefile rules
	snakemake --lint
	tessera lock

format: $(STAMP) ## put the code into the project's style
	ruff check --fix
	ruff format
	snakefmt Snakefile rules

clean: ## remove results and caches
	rm -rf $(RESULTS) results-imagenet-shape .snakemake .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove the Python environment as well
	rm -rf $(VENV) src/*.egg-info
