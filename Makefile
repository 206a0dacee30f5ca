# make demo: set up, run the main job on the sample feed. make test: set up, lint, types, tests, quality gate.

PYTHON ?= python3
PIP := .venv/bin/pip --disable-pip-version-check
TORCH := torch==2.13.0+cpu
# Where PyTorch publishes its CPU builds; used when the configured index has none.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.PHONY: demo test lint types unit gate clean

demo: .venv/ready
	.venv/bin/extractor demo

test: lint types unit gate

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/ready
	.venv/bin/mypy

# Two files at a time, one thread each; .venv/bin/python -m pytest is all in one process.
unit: .venv/ready
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Fails when the embedded model does significantly worse on our own gold than eval/baselines/sample.json.
gate: .venv/ready
	.venv/bin/extractor eval gate sample

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet --no-deps $(TORCH) || $(PIP) install --quiet --no-deps --index-url $(TORCH_INDEX) $(TORCH)
	$(PIP) install --quiet --no-deps -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf .venv runs
