# make demo       install, run the pipeline on the demo photos, print the scores, and compare the
#                 outputs with the committed dvc.lock
# make test       install what is missing, run all tests
# make lint       check style, formatting and types (ruff, mypy)
# make serve      serve models/bundle, or else the starter model, over HTTP, with a page at
#                 http://127.0.0.1:8000/; ARGS="--port 8080" passes options to portrait18 serve
#                 (--help lists them)
# make report     write reports/report.html, one page with all metrics and plots of the run
# make recipe NAME=bench-cpu   run a recipe of recipes/ as a DVC experiment and add its metrics to
#                 reports/runs.csv; SEED=1 trains with another seed
# make gpu-check   run everything that needs a GPU in nine minutes; summary in reports/gpu_check.md
# make ledger     write reports/ledger.md, the table of all recipes that were run
# make parallel JOBS=2   run the pipeline with two trainings at a time; they share the cores
# make slurm      run the pipeline as Slurm jobs; ARGS="--partition=gpu --time=4:00:00" passes
#                 options to sbatch, LAUNCH_ARGS="--gpus=1" only for the stages that use a GPU
# make benchmarks measure speed and memory versus other tools, 1 to 2 hours on two idle cores;
#                 ARGS="crop-loop --rounds 3" passes options to benchmarks.run (--help lists them)
# make repair     remove damaged files after a disk error or a killed DVC; dvc repro restores them
# make portability   run the stages on emulated CPUs of other kinds and compare all outputs; needs
#                 qemu-user, takes two hours
# make current    check that dvc.lock is up to date, without running anything
# make clean      remove the virtual environment

export PATH := $(CURDIR)/.venv/bin:$(PATH)
PYTHON ?= python3
JOBS ?= 2

.PHONY: gpu-check demo test lint serve screenshot report recipe ledger parallel slurm benchmarks \
	repair portability current clean

demo: .venv/installed
	@git rev-parse --git-dir > .venv/git.log 2>&1 || dvc config --local core.no_scm true
	dvc repro
	@echo
	@echo "Scores on the demo's evaluation set (few rendered people: they show that the pipeline"
	@echo "runs, not how accurate it is):"
	@python -m portrait18.evaluation.score data/submission.csv data/demo/eval/answers.csv
	@echo
	@grep -q '^no warnings' reports/check.txt || \
	{ echo "The data have warnings (reports/check.txt):"; head -n 20 reports/check.txt; echo; }
	@echo "submission      data/submission.csv"
	@echo "metrics         reports/metrics.json     (dvc metrics show)"
	@echo "plots           reports/evaluate/        (dvc plots show)"
	@echo "report          reports/report.html"
	@echo "contact sheets  reports/contact_sheets/"
	@echo
	@python .dvc/compare.py

test: .venv/installed
	python -m pytest

portability: .venv/installed
	python -m pytest --numprocesses 1 -m portability tests/pipeline

lint: .venv/installed
	ruff check
	ruff format --check
	mypy

serve: .venv/installed
	@python -m portrait18 serve $(ARGS)

# Make the pictures of the docs from the outputs of the last run: the page and a contact sheet.
# Chromium must be on the PATH.
PHOTO ?= data/demo/eval/images/1b87754b97f70e0c92800ac987c5a72d3d5ba2d8.jpg
SHEET = from PIL import Image; sheet = Image.open("reports/contact_sheets/eval.png"); \
	sheet.save("docs/crops.jpg", quality=85)
screenshot: .venv/installed
	@PYTHONPATH=. python tests/server/browser.py models/bundle "$(PHOTO)" docs/page.png
	@python -c '$(SHEET)'

report: .venv/installed
	dvc repro report
	@echo "open reports/report.html in a browser"

recipe: .venv/installed
	@python -m recipes.ledger run "$(NAME)" $(if $(SEED),--seed "$(SEED)")

ledger: .venv/installed
	@python -m recipes.ledger table

# The matrix stages run one by one under `dvc repro`, so xargs starts one DVC for each training.
parallel: .venv/installed
	dvc repro label split crop
	dvc stage list --name-only | grep '^train@' | xargs -r -P $(JOBS) -n 1 dvc --wait-for-lock repro -s
	dvc repro

slurm: .venv/installed
	@python .dvc/slurm.py $(ARGS)

benchmarks: .venv/installed
	@python -m benchmarks.run $(ARGS)

repair: .venv/installed
	@python .dvc/repair.py

# In a fresh clone outputs may be missing, but no stage may be out of date.
current: .venv/installed
	@dvc repro --dry --allow-missing > .venv/dry.log || { cat .venv/dry.log; exit 1; }
	@! grep '^Running stage' .venv/dry.log || \
	{ echo "error: dvc.lock is not current; run dvc repro and commit dvc.lock"; exit 1; }
	@echo "dvc.lock is current"

VERSION_CHECK = import sys; v = sys.version_info[:2]; \
	sys.exit(0 if (3, 11) <= v < (3, 14) else "error: Python %d.%d found, 3.11 to 3.13 supported; \
	name another interpreter: make PYTHON=python3.11" % v)
PIP_INSTALL = .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps

.venv/installed: requirements.txt pyproject.toml .dvc/preflight.py
	@$(PYTHON) -c '$(VERSION_CHECK)'
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) --requirement requirements.txt
	$(PIP_INSTALL) --no-build-isolation --editable .
	.venv/bin/python .dvc/preflight.py
	touch $@

# Not in .venv: it also runs where PyTorch is installed already and nothing can be downloaded.
gpu-check:
	$(PYTHON) -m benchmarks.gpu_check $(ARGS)

clean:
	rm -rf .venv
