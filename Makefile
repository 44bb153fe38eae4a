# Every target sets up what it needs. ARGS goes to the program: make run ARGS='--clusters 3'
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test check audit fuzz e2e chaos churn soak bench release lock clean

$(STAMP): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

run: $(STAMP) ## ten fake clusters on the embedded management API
	$(BIN)/capim up $(ARGS)

test: $(STAMP) ## unit and integration tests
	$(BIN)/pytest -n auto $(ARGS)

check: $(STAMP) ## format, lint, types, layers, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/generate_crds.py --check
	$(BIN)/python tools/generate_kinds.py --check
	$(BIN)/python tools/generate_faults.py --check
	$(BIN)/python tools/seal.py --check

audit: $(STAMP) ## dependencies with known vulnerabilities, where the package index tells; ARGS='--accept ID'
	$(BIN)/python -m tools.audit $(ARGS)

fuzz: $(STAMP) ## three minutes for each thing that reads a client's bytes; ARGS='--seconds 600 json'
	$(BIN)/python -m tests.fuzz.run $(ARGS)

e2e: $(STAMP) ## real Cluster API controllers, 1.7 and 1.14, and the cases beside a real API server (needs Go)
	$(BIN)/pytest tests/conformance tests/chaos tests/e2e -m e2e -p no:xdist $(ARGS)

churn: $(STAMP) ## ten minutes of writes under controller-runtime managers, whose caches must follow (needs Go)
	$(BIN)/pytest tests/conformance/test_clients.py -m e2e -p no:xdist -k churn --churn-seconds 600 $(ARGS)

soak: $(STAMP) ## an hour of churn under real controllers with clients that read; nothing may grow (needs Go)
	$(BIN)/python -m tests.soak $(ARGS)

chaos: $(STAMP) ## hundreds of schedules of what can go wrong around CAPIM's processes: ARGS='--seeds 0:500'
	$(BIN)/python -m tests.chaos.run --results out/chaos.jsonl $(ARGS)

bench: $(STAMP) ## CAPIM beside the Go in-memory provider, both lines of Cluster API (needs Go): ARGS='--quick'
	$(BIN)/python -m tests.bench $(ARGS)

release: $(STAMP) ## what clusterctl installs from: make release VERSION=v0.1.0 [IMAGE=...] (needs kubectl)
	$(BIN)/python -m tools.release --version "$(VERSION)" --image "$(IMAGE)"

lock: ## write requirements.lock anew
	$(BIN)/pip-compile --quiet --extra dev --extra build --generate-hashes --allow-unsafe --strip-extras \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .e2e out build dist
