# make demo   install, run the pipeline on the demo photos, print the scores
# make test   install what is missing, run every test
# make recipe NAME=bench-cpu   run a recipe from recipes/ as a DVC experiment, keep its figures in reports/runs.csv;
#                              SEED=1 trains with another seed
# make report   one page with every figure and picture of the run, reports/report.html
# make ledger   write reports/ledger.md: every recipe that was run, beside the one it starts from

export PATH := $(CURDIR)/.venv/bin:$(PATH)
PYTHON ?= python3

.PHONY: demo test report recipe ledger current clean

demo: .venv/installed
	dvc repro
	@echo
	@echo "The demo's photos to label, against their answers (few and rendered: they show that it runs, not how good it is):"
	@python -m portrait18.score data/submission.csv data/demo/eval/answers.csv
	@echo
	@echo "submission      data/submission.csv"
	@echo "figures         reports/metrics.json     (dvc metrics show)"
	@echo "plots           reports/evaluate/        (dvc plots show)"
	@echo "one page        reports/report.html"
	@echo "contact sheets  reports/crop/"

test: .venv/installed
	python -m pytest

report: .venv/installed
	dvc repro report
	@echo "reports/report.html: open it in a browser"

# What a fresh clone must find: nothing to do but fetch or make what is missing.
current: .venv/installed
	@dvc repro --dry --allow-missing > .venv/dry.log || { cat .venv/dry.log; exit 1; }
	@! grep '^Running stage' .venv/dry.log || { echo "dvc.lock is not current: run dvc repro and commit dvc.lock"; exit 1; }
	@echo "dvc.lock is current"

recipe: .venv/installed
	@python recipes/ledger.py run "$(NAME)" $(if $(SEED),--seed "$(SEED)")

ledger: .venv/installed
	@python recipes/ledger.py table

.venv/installed: requirements.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Python {v[0]}.{v[1]} found, 3.11 to 3.13 needed; name another: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.txt
	touch $@

clean:
	rm -rf .venv
