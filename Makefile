PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test bench check format lock clean

run: $(VENV)/.run
	@$(BIN)/gifty serve

test: $(VENV)/.dev
	$(BIN)/pytest -n 2 --dist loadfile

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.drift

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/.dev
	$(BIN)/pip-compile -q --no-header --no-annotate --no-emit-options --strip-extras --extra embedded -o requirements.lock setup.py
	$(BIN)/pip-compile -q --no-header --no-annotate --no-emit-options --strip-extras --extra dev -c requirements.lock -o requirements-dev.lock setup.py

clean:
	rm -rf $(VENV) build *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock setup.py | $(BIN)/python
	@echo "Installing Gifty into $(VENV) ..."
	@$(BIN)/pip install -q --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock setup.py | $(BIN)/python
	$(BIN)/pip install -q --disable-pip-version-check -r requirements-dev.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@
