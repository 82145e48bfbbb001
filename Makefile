# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Python 3.11 or newer that makes .venv: make PYTHON=/path/to/python3
PYTHON ?= python3
# How many hosts `make lab` boots, by turns Debian 12 and 13, and under which name.
N ?= 2
LAB ?= lab
# Which molecule scenarios to run; all, if empty.
SCENARIO ?=

# A caller's environment must not decide what is imported or which settings apply, nor slow Ansible down.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONOPTIMIZE PYTHONDONTWRITEBYTECODE
unexport ANSIBLE_CONFIG ANSIBLE_COLLECTIONS_PATHS ANSIBLE_INVENTORY ANSIBLE_LIBRARY ANSIBLE_ROLES_PATH

export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/build/collections
export PATH := $(CURDIR)/.venv/bin:$(PATH)

TREE := build/tree/ansible_collections/mailops/imap
FIND_PYTHON := bash tests/ci/find-python.sh 3.11 "$(PYTHON)" python3.13 python3.12 python3.11 /usr/bin/python3
STAGES := test-unit test-exchange test-lint test-docs test-sanity test-unit-cores test-collection test-lab test-syntax test-molecule

.PHONY: help
help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 20

.PHONY: demo
demo: collection lab-images ## Boot a Debian 12 and a Debian 13 host, set both time-outs, measure them, mend drift
	@.venv/bin/python tests/demo/demo.py

.PHONY: demo-exchange
demo-exchange: collection venv-exchange lab-images ## One task over a Debian host and a simulated Exchange 2019
	@.venv/bin/python tests/demo/demo_exchange.py

.PHONY: test
test: ## Run every test
	@bash tests/ci/stages.sh $(STAGES)

.PHONY: generate
generate: venv collection ## Write anew what is made from the tables of settings and server types
	@PYTHONPATH=build/collections .venv/bin/python tests/ci/write_generated.py

.PHONY: venv
venv: ## Make .venv with what it takes to use the collection
	@python=$$($(FIND_PYTHON)) && bash tests/ci/make-venv.sh .venv "$$python" tests/requirements.txt

.PHONY: venv-test
venv-test: venv ## Add the test tools to .venv
	@bash tests/ci/make-venv.sh .venv "$$($(FIND_PYTHON))" tests/requirements.txt tests/requirements-test.txt

.PHONY: venv-exchange
venv-exchange: venv ## Add what it takes to reach Exchange, and to simulate it
	@bash tests/ci/make-venv.sh .venv "$$($(FIND_PYTHON))" tests/requirements.txt tests/exchange_simulator/requirements.txt

.PHONY: tree
tree: venv ## Copy the files that git does not ignore to build/tree
	@bash tests/ci/install-packages.sh git
	@.venv/bin/python tests/ci/copy_tree.py $(TREE) build/tree.stamp

.PHONY: collection
collection: tree ## Build the collection and install it into build/collections
	@$(MAKE) build/collection.stamp

build/collection.stamp: build/tree.stamp
	@echo "Building the collection into build/collections"
	@rm -f build/mailops-imap-*.tar.gz
	@ansible-galaxy collection build --output-path build $(TREE) >/dev/null
	@rm -rf build/installing
	@ANSIBLE_COLLECTIONS_PATH=build/installing ansible-galaxy collection install --offline \
	    --collections-path build/installing build/mailops-imap-*.tar.gz >/dev/null
	@rm -rf build/collections && mv build/installing build/collections
	@touch $@

.PHONY: lab-images
lab-images: venv
	@bash tests/lab/prepare.sh
	@.venv/bin/python tests/lab/lab.py images bookworm trixie

.PHONY: lab
lab: lab-images ## Boot N disposable hosts (make lab N=4) and write build/lab/lab/inventory.yml
	@.venv/bin/python tests/lab/lab.py up $(LAB) \
	    $$(for i in $$(seq $(N)); do if ((i % 2)); then echo "imap$$i=bookworm"; else echo "imap$$i=trixie"; fi; done)

.PHONY: lab-down
lab-down: ## Remove every trace of every lab
	@$$($(FIND_PYTHON)) tests/lab/lab.py down

.PHONY: test-unit
test-unit: venv-test tree ## Run the unit tests
	@cd $(TREE) && PYTHONPATH=$(CURDIR)/build/tree $(CURDIR)/.venv/bin/python -m pytest -n auto tests/unit

.PHONY: test-exchange
test-exchange: venv-test tree ## Test the Exchange simulator with a PowerShell client, and Exchange support with the simulator
	@bash tests/exchange_simulator/transcripts.sh .venv/bin/python build/transcripts
	@cd $(TREE) && MAILOPS_IMAP_TRANSCRIPTS=$(CURDIR)/build/transcripts PYTHONPATH=$(CURDIR)/build/tree \
	    $(CURDIR)/.venv/bin/python -m pytest --numprocesses 2 tests/exchange_simulator tests/exchange

.PHONY: test-kerberos
test-kerberos: tree ## Test Kerberos against a KDC on loopback; builds gssapi, and is no part of make test
	@bash tests/ci/install-packages.sh faketime gcc krb5-admin-server krb5-kdc krb5-user libkrb5-dev python3-dev
	@bash tests/ci/make-venv.sh build/venvs/kerberos "$$($(FIND_PYTHON))" tests/requirements.txt \
	    tests/exchange_simulator/requirements.txt tests/exchange_simulator/requirements-kerberos.txt
	@build/venvs/kerberos/bin/python -c 'import gssapi, krb5'
	@cd $(TREE) && PYTHONPATH=$(CURDIR)/build/tree $(CURDIR)/build/venvs/kerberos/bin/python -m pytest --numprocesses 2 \
	    tests/exchange_simulator/test_kerberos.py tests/exchange/test_kerberos.py

.PHONY: test-unit-cores
test-unit-cores: venv-test tree ## Run the unit tests under each supported ansible-core
	@.venv/bin/python tests/ci/unit_cores.py $(TREE) build/venvs

.PHONY: test-lint
test-lint: venv-test tree ## Run ansible-lint, yamllint, antsibull-changelog and reuse
	@bash tests/ci/lint.sh $(TREE)

.PHONY: test-docs
test-docs: venv-test tree ## Check the documentation of every plugin and role
	@cd $(TREE) && antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs all .

.PHONY: test-sanity
test-sanity: venv-test tree ## Run every test of ansible-test sanity
	@.venv/bin/python tests/ci/sanity.py $(TREE) build/ansible-test

.PHONY: test-collection
test-collection: collection ## Show that the built collection works with only meta, plugins, roles and playbooks
	@bash tests/ci/stripped-collection.sh build/mailops-imap-*.tar.gz build/stripped

.PHONY: test-lab
test-lab: venv-test lab-images ## Test the disposable hosts themselves
	@.venv/bin/python -m pytest tests/lab

.PHONY: test-syntax
test-syntax: venv-test tree lab-images ## Compare how configurations are read with the daemons of real hosts
	@.venv/bin/python tests/integration/compare_syntax.py

.PHONY: test-random
test-random: venv-test tree lab-images ## Run the tests that make up their own examples with other ones each time
	@cd $(TREE) && PYTHONPATH=$(CURDIR)/build/tree $(CURDIR)/.venv/bin/python -m pytest -n auto \
	    --hypothesis-profile=random tests/unit
	@.venv/bin/python tests/integration/compare_syntax.py --hypothesis-profile=random

.PHONY: test-molecule
test-molecule: venv-test collection lab-images ## Install and converge real hosts, and measure both time-outs on the wire
	@bash tests/ci/molecule.sh $(SCENARIO)

.PHONY: test-long
test-long: venv-test tree lab-images ## Wait half an hour for the time-outs that are compiled into the servers
	@PYTHONPATH=$(CURDIR)/build/tree .venv/bin/python tests/long/long.py

.PHONY: clean
clean: lab-down ## Remove the labs and everything that was built here
	@rm -rf build .venv

.PHONY: distclean
distclean: clean ## Remove the images and the cached packages of the labs too
	@rm -rf /var/cache/mailops-imap-lab
