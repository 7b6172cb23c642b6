"""Remove outputs of runs that the params no longer name.

DVC keeps them in place, where stages that depend on whole folders would read them. dvc.yaml runs
this before those stages.
"""

from portrait18.core import params, runs


def main() -> None:
    runs.remove_stale_progress()
    p = params.load()
    wanted = [
        run for group in runs.runs_by_model(p.matrix, p.pseudo_label).values() for run in group
    ]
    runs.remove_stale_outputs(runs.PREDICTIONS, [run.predictions for run in wanted])
    runs.remove_stale_outputs(runs.WEIGHTS, [run.weights for run in wanted])
    runs.remove_stale_outputs(runs.LIVE_METRICS, [run.live for run in wanted])
    runs.remove_stale_outputs(runs.FEATURES, [runs.FEATURES / b for b in p.features.backbones])
