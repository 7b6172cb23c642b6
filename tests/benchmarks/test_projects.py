import json

from synthetic import REPO

from benchmarks import projects


def test_a_smaller_data_set_has_the_first_people_and_photos_of_another(tmp_path):
    counts = projects.link_people(REPO / "data/demo", tmp_path / "small", 2, 3)
    assert counts == (2, 3)
    assert len(list((tmp_path / "small/train/images").rglob("*.jpg"))) == 14
    assert len((tmp_path / "small/train/train.csv").read_text().splitlines()) == 3
    assert len((tmp_path / "small/eval/info.csv").read_text().splitlines()) == 4


def test_the_seconds_of_a_stage_are_summed_and_its_largest_process_counts(tmp_path):
    lines = (
        [["-m", "stages", "train", "mask"], 2.0, 4.0, 300],
        [["-m", "stages", "train", "age"], 3.0, 5.0, 200],
        [["-m", "stages", "label"], 1.0, 1.0, 100],
    )
    (tmp_path / "log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    costs = projects.stage_costs(tmp_path / "log")
    assert costs == {"train": (5.0, 9.0, 300, 2), "label": (1.0, 1.0, 100, 1)}
