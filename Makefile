# FaceForge. `make help` lists what there is; needs only Python 3.11 to 3.13 (with venv) and make.

SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv

# Values reach the commands through the environment, never through the shell's text: quotes in them are harmless.
# What is not set here is left to the command's own default.
export SOURCE LABELS PRESET SETTINGS MODEL EXPERIMENT VERSION REASON CRON PORT RUNNER BUDGET SPACE OUT
export ENGINE REGISTRY BUILD_FLAGS
TAG ?= $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' faceforge/__init__.py)
export TAG
# Variables given to this make are not handed to a make that a test or a recipe starts.
MAKEOVERRIDES =
unexport ARGS COMPILE FORCE

# TensorFlow for the GPU where there is one. The locks pin every package with its hashes.
LOCK := $(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
# Tests run on the CPU lock: beside a GPU they get an environment of their own.
DEV_VENV := $(if $(filter gpu,$(LOCK)),$(VENV)-dev,$(VENV))
INSTALLED := $(VENV)/.installed-$(LOCK)
DEV_INSTALLED := $(DEV_VENV)/.installed-dev

# Percent of lines that the tests must execute.
COVERAGE_FLOOR := 80

ALL_EXTRAS := --extra pipeline --extra onnx --extra serve --extra tune --extra privacy

# $(call option,--name,VARIABLE): the option with the variable's value, if it is set.
option = $(if $($(2)),$(1) "$$$(2)")
RUN_OPTIONS = $(call option,--source,SOURCE) $(call option,--labels,LABELS) $(call option,--preset,PRESET) \
	$(call option,--set,SETTINGS) $(call option,--model-name,MODEL) $(call option,--experiment,EXPERIMENT)
TUNE_OPTIONS = $(call option,--preset,PRESET) $(call option,--set,SETTINGS)

.DEFAULT_GOAL := help
.PHONY: help setup run tune test coverage lint bench clean images images-push pipeline-compile pipeline-run schedule \
	promote rollback mlflow-ui locks serve ui cluster-up cluster-down checkov
.NOTPARALLEL:

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | \
	while IFS='|' read -r name text; do printf '  %-17s %s\n' "$$name" "$$text"; done
	@echo
	@echo '  Variables: SOURCE= LABELS= PRESET= SETTINGS="train.kimg=20, ..." MODEL= EXPERIMENT= VERSION= REASON= PORT='

setup: $(INSTALLED) ## Create .venv with the locked packages

run: $(INSTALLED) ## Run the whole pipeline on this machine (SOURCE= LABELS= PRESET= SETTINGS= RUNNER=docker); continues an unfinished run
	@exec $(VENV)/bin/faceforge pipeline run $(RUN_OPTIONS) $(call option,--runner,RUNNER) $(ARGS)

test: $(DEV_INSTALLED) ## Run all tests (ARGS= for pytest)
	@$(DEV_VENV)/bin/pytest $(ARGS)

coverage: $(DEV_INSTALLED) ## Run all tests and report the lines that none of them executes (ARGS= for pytest)
	@$(DEV_VENV)/bin/pytest --cov --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE_FLOOR) $(ARGS)

lint: $(DEV_INSTALLED) ## Check style, types and the direction of imports
	@$(DEV_VENV)/bin/ruff check .
	@$(DEV_VENV)/bin/ruff format --check .
	@$(DEV_VENV)/bin/mypy
	@$(DEV_VENV)/bin/lint-imports --no-logo --no-cache

tune: $(INSTALLED) ## Search for better settings (SOURCE= LABELS= PRESET= SETTINGS= BUDGET=30min SPACE=file.toml OUT=work/tune); continues an unfinished search
	@$(VENV)/bin/faceforge ingest "$${SOURCE:-toyfaces}" --out "$${OUT:-work/tune}/images" $(call option,--labels,LABELS) $(TUNE_OPTIONS)
	@exec $(VENV)/bin/faceforge tune --data "$${OUT:-work/tune}/images" --out "$${OUT:-work/tune}/search" $(TUNE_OPTIONS) \
		--budget "$${BUDGET:-30min}" $(call option,--space,SPACE) \
		--tracking-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" $(ARGS)

bench: $(INSTALLED) ## Measure speed beside other programs: one table (ARGS="--quick --torch PYTHON")
	@$(VENV)/bin/python benchmarks/table.py $(ARGS)

images: ## Build the container images (REGISTRY= TAG= LOCK=gpu ENGINE=podman BUILD_FLAGS=)
	@LOCK='$(LOCK)' k8s/images/build.sh build

images-push: ## Push them to REGISTRY= (TAG= ENGINE=)
	@k8s/images/build.sh push

pipeline-compile: $(INSTALLED) ## Write build/faceforge.yaml for a cluster (COMPILE="--gpu 1 --train-image ... --output ...")
	@mkdir -p build
	@$(VENV)/bin/faceforge pipeline compile --output build/faceforge.yaml $(COMPILE)

pipeline-run: $(INSTALLED) ## Submit to Kubeflow Pipelines at KF_PIPELINES_ENDPOINT and wait (SOURCE= LABELS= PRESET= SETTINGS=)
	@exec $(VENV)/bin/faceforge pipeline submit $(RUN_OPTIONS) $(ARGS)

schedule: $(INSTALLED) ## Retrain on a schedule on Kubeflow Pipelines: CRON="0 3 * * 0" (SOURCE= PRESET= ...)
	@test -n "$$CRON" || { echo 'error: when? make schedule CRON="0 3 * * 0" (minute hour day-of-month month day-of-week)' >&2; exit 2; }
	@exec $(VENV)/bin/faceforge schedule set --cron "$$CRON" $(call option,--name,MODEL) $(RUN_OPTIONS) $(ARGS)

promote: $(INSTALLED) ## Make VERSION= the champion (MODEL= REASON=; FORCE=1 also a rejected one)
	@test -n "$$VERSION" || { echo 'error: which version? make promote VERSION=2' >&2; exit 2; }
	@$(VENV)/bin/faceforge registry promote "$$VERSION" $(call option,--name,MODEL) $(call option,--reason,REASON) $(if $(FORCE),--force)

rollback: $(INSTALLED) ## Make the previous champion the champion again (MODEL= REASON=)
	@$(VENV)/bin/faceforge registry rollback $(call option,--name,MODEL) $(call option,--reason,REASON)

mlflow-ui: $(INSTALLED) ## Browse runs and models at http://localhost:5000 (PORT=)
	@MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true exec $(VENV)/bin/mlflow server --backend-store-uri sqlite:///mlflow.db --default-artifact-root ./mlartifacts \
		--host 127.0.0.1 --port "$${PORT:-5000}"

serve: $(INSTALLED) ## Serve the champion over HTTP at http://localhost:8000 (MODEL= PORT=); follows promotions
	@exec $(VENV)/bin/faceforge serve $(if $(MODEL),--model "models:/$$MODEL@champion") $(call option,--port,PORT) $(ARGS)

ui: $(INSTALLED) ## Generate, check and explore faces at http://localhost:8501 (PORT=)
	@exec $(VENV)/bin/faceforge ui $(call option,--name,MODEL) $(call option,--experiment,EXPERIMENT) $(call option,--port,PORT) $(ARGS)

cluster-up: ## Create a cluster on this machine: kind, Kubeflow Pipelines, MLflow (ENGINE=podman ARGS=--dry-run)
	@k8s/cluster.sh up $(ARGS)

cluster-down: ## Remove that cluster and everything it stores
	@k8s/cluster.sh down $(ARGS)

checkov: $(VENV)-checkov/.installed $(DEV_INSTALLED) ## Check what k8s/ deploys for security findings
	@$(DEV_VENV)/bin/pytest -n 0 tests/k8s/test_checkov.py $(ARGS)

clean: ## Remove caches and build outputs; keeps .venv, runs/ and mlflow.db
	@find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
	@rm -rf build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.*

$(INSTALLED): locks/$(LOCK).txt pyproject.toml
	@$(call install,$(VENV),locks/$(LOCK).txt)
	@touch $@

locks: ## Resolve the dependencies again (needs uv)
	@set -e; lock() { echo "locks/$$1.txt"; file=$$1; shift; uv pip compile pyproject.toml --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet --output-file locks/$$file.txt "$$@"; }; \
	lock cpu --extra cpu $(ALL_EXTRAS); \
	lock gpu --extra gpu $(ALL_EXTRAS) --constraint locks/cpu.txt; \
	lock dev --extra dev --extra server --extra cpu $(ALL_EXTRAS) --constraint locks/cpu.txt; \
	lock core --extra core --extra pipeline --extra server --extra build --constraint locks/dev.txt; \
	lock serve --extra cpu --extra serve --extra lite --constraint locks/dev.txt; \
	lock lite --extra lite --constraint locks/cpu.txt; \
	lock heic --extra heic --constraint locks/cpu.txt

# The security checker pins much of what the pipeline pins, to other versions.
$(VENV)-checkov/.installed: locks/checkov.txt
	@$(PYTHON) -m venv $(VENV)-checkov
	@$(VENV)-checkov/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# The dev lock holds all of the CPU lock, so that what runs the tests can run the pipeline.
$(DEV_INSTALLED): locks/dev.txt pyproject.toml
	@$(call install,$(DEV_VENV),locks/dev.txt)
	@touch $@ $(DEV_VENV)/.installed-cpu

# Setuptools is locked too: without build isolation nothing unpinned is fetched. uv does the same as pip in a fraction of
# the time, and checks the same hashes; it does not read pip's settings, except for the index handed on here. Where it
# fails, pip is tried and explains what is wrong.
define install
set -e; \
$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || \
	{ echo 'error: $(PYTHON) is not Python 3.11 to 3.13; name one: make PYTHON=python3.11 ...' >&2; exit 2; }; \
test -x $(1)/bin/python || $(PYTHON) -m venv $(1) || \
	{ rm -rf $(1); echo 'error: cannot create $(1); on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 2; }; \
echo 'installing $(2) into $(1) (once; some minutes)'; \
pip() { $(1)/bin/python -m pip install --quiet --disable-pip-version-check "$$@"; }; \
install() { pip "$$@"; }; \
if command -v uv >/dev/null; then \
	install() { UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$PIP_INDEX_URL}" \
		uv pip install --quiet --python $(1)/bin/python "$$@" || pip "$$@"; }; \
fi; \
install --require-hashes -r $(2); \
install --no-build-isolation --no-deps -e .
endef
