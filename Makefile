# What is run while mydocker is changed; see CONTRIBUTING.md. `make` alone lists the targets.
.PHONY: help install unit pythons root parity lint format docs

PYTHON ?= .venv/bin/python
BIN = $(dir $(PYTHON))
SUDO = $(if $(filter-out 0,$(shell id -u)),sudo)

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST) | expand -t 10

install: ## make the environment, editable
	python3 -m venv --upgrade-deps .venv
	.venv/bin/pip install -e '.[test]'

unit: ## tests that need no root, no server and no other user: under a minute
	$(BIN)pytest -q -m unit

pythons: ## the same on every other Python that mydocker supports and this machine has, from PATH or pyenv
	.ci/pythons

root: ## all tests, as root
	$(SUDO) env CI=true $(BIN)pytest -q

parity: ## the same cases with Docker and Podman; notes in tests/parity/passed.txt that they have passed
	for runtime in docker podman; do .ci/parity $$runtime --record || exit; done

lint: ## style and types, as CI checks them
	$(BIN)ruff check
	$(BIN)ruff format --check
	$(BIN)mypy

format: ## let ruff change the style
	$(BIN)ruff check --fix
	$(BIN)ruff format

docs: ## write anew what is generated in docs/: the reference, the schema and the manual page
	$(BIN)mydocker schema --format markdown > docs/reference.md.new
	mv docs/reference.md.new docs/reference.md
	$(BIN)mydocker schema > docs/mydocker.schema.json.new
	mv docs/mydocker.schema.json.new docs/mydocker.schema.json
	$(BIN)mydocker help --man > docs/mydocker.1.new
	mv docs/mydocker.1.new docs/mydocker.1
