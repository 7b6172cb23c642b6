"""Learning curves in files, written while a training runs."""

import json
import shutil
from pathlib import Path


class LearningCurves:
    """One TSV file per metric and the last epoch's values as JSON.

    The layout is DVCLive's (`plots/metrics/<metric>.tsv`, `metrics.json`), which `dvc plots` and
    editors display. DVCLive itself imports DVC, which takes two seconds per training and is not
    installed where only trainings run.

    Args:
        folder: emptied first, because a resumed training logs its earlier epochs again.
    """

    def __init__(self, folder: Path):
        shutil.rmtree(folder, ignore_errors=True)
        self.folder = folder
        self.plots = folder / "plots/metrics"
        self.plots.mkdir(parents=True)
        self.step = 0

    def log(self, metrics: dict[str, float]) -> None:
        """Append the metrics of one epoch; `epoch` itself is the row number, from 0."""
        values = {name: value for name, value in metrics.items() if name != "epoch"}
        for name, value in values.items():
            with open(self.plots / f"{name}.tsv", "a") as file:
                if self.step == 0:
                    file.write(f"step\t{name}\n")
                file.write(f"{self.step}\t{value}\n")
        summary = json.dumps({**values, "step": self.step}, indent=4) + "\n"
        (self.folder / "metrics.json").write_text(summary)
        self.step += 1
