# make demo   install, run the pipeline on the demo photos, print the scores
# make test   install what is missing, run every test
# make recipe NAME=bench-cpu   run a recipe from recipes/ as a DVC experiment, keep its figures in reports/runs.csv;
#                              SEED=1 trains with another seed
# make benchmarks   measure speed and memory beside what people use otherwise, an hour or two on two quiet cores;
#                   ARGS="crop-loop --rounds 3" goes to python -m benchmarks.run (--help)
# make ledger   write reports/ledger.md: every recipe that was run, beside the one it starts from

export PATH := $(CURDIR)/.venv/bin:$(PATH)
PYTHON ?= python3

.PHONY: demo test recipe ledger benchmarks current clean

demo: .venv/installed
	dvc repro
	@echo
	@echo "The demo's photos to label, against their answers (few and rendered: they show that it runs, not how good it is):"
	@python -m portrait18.score data/submission.csv data/demo/eval/answers.csv
	@echo
	@echo "submission      data/submission.csv"
	@echo "figures         reports/metrics.json     (dvc metrics show)"
	@echo "plots           reports/evaluate/        (dvc plots show)"
	@echo "contact sheets  reports/crop/"

test: .venv/installed
	python -m pytest

# What a fresh clone must find: nothing to do but fetch or make what is missing.
current: .venv/installed
	@dvc repro --dry --allow-missing > .venv/dry.log || { cat .venv/dry.log; exit 1; }
	@! grep '^Running stage' .venv/dry.log || { echo "dvc.lock is not current: run dvc repro and commit dvc.lock"; exit 1; }
	@echo "dvc.lock is current"

recipe: .venv/installed
	@python recipes/ledger.py run "$(NAME)" $(if $(SEED),--seed "$(SEED)")

ledger: .venv/installed
	@python recipes/ledger.py table

benchmarks: .venv/installed
	@python -m benchmarks.run $(ARGS)

.venv/installed: requirements.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Python {v[0]}.{v[1]} found, 3.11 to 3.13 needed; name another: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.txt
	touch $@

clean:
	rm -rf .venv
