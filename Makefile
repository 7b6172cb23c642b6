# make demo   install, run the pipeline on the demo photos, print the scores
# make serve   answer for photos over HTTP, with a page, by the networks of the last dvc repro: http://127.0.0.1:8000/
#              ARGS="--port 8080" and others, see portrait18 serve --help
# make test   install what is missing, run every test
# make mend   after damage or a crash that DVC does not survive: remove what is damaged, dvc repro makes it again
# make recipe NAME=bench-cpu   run a recipe from recipes/ as a DVC experiment, keep its figures in reports/runs.csv;
#                              SEED=1 trains with another seed
# make report   one page with every figure and picture of the run, reports/report.html
# make benchmarks   measure speed and memory beside what people use otherwise, an hour or two on two quiet cores;
#                   ARGS="crop-loop --rounds 3" goes to python -m benchmarks.run (--help)
# make side-by-side JOBS=2   the pipeline with so many trainings at once, each with its share of the cores
# make ledger   write reports/ledger.md: every recipe that was run, beside the one it starts from

export PATH := $(CURDIR)/.venv/bin:$(PATH)
PYTHON ?= python3

.PHONY: demo side-by-side serve screenshot test mend report recipe ledger benchmarks current clean

demo: .venv/installed
	dvc repro
	@echo
	@echo "The demo's photos to label, against their answers (few and rendered: they show that it runs, not how good it is):"
	@python -m portrait18.evaluation.score data/submission.csv data/demo/eval/answers.csv
	@echo
	@echo "submission      data/submission.csv"
	@echo "figures         reports/metrics.json     (dvc metrics show)"
	@echo "plots           reports/evaluate/        (dvc plots show)"
	@echo "one page        reports/report.html"
	@echo "contact sheets  reports/crop/"

JOBS ?= 2

side-by-side: .venv/installed
	dvc repro label split crop
	export OMP_NUM_THREADS=$$(python -c 'import os; print(max(1, os.cpu_count() // $(JOBS)))'); \
	dvc stage list --name-only | grep '^train@' | xargs -P $(JOBS) -n 1 dvc --wait-for-lock repro -s
	dvc repro

serve: .venv/installed
	@python -m portrait18 serve $(ARGS)

# The page's picture in the README; Chromium must be on the PATH.
screenshot: .venv/installed
	@PYTHONPATH=. python tests/server/browser.py models/bundle "$(or $(PHOTO),data/demo/eval/images/1b87754b97f70e0c92800ac987c5a72d3d5ba2d8.jpg)" docs/page.png

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

mend: .venv/installed
	@python .dvc/mend.py

recipe: .venv/installed
	@python recipes/ledger.py run "$(NAME)" $(if $(SEED),--seed "$(SEED)")

ledger: .venv/installed
	@python recipes/ledger.py table

benchmarks: .venv/installed
	@python -m benchmarks.run $(ARGS)

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Python {v[0]}.{v[1]} found, 3.11 to 3.13 needed; name another: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf .venv
