import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from portrait18.dataset import tables
from portrait18.dataset.classes import AGE, ALL, GENDER, MASK, TASKS, age_group, encode
from portrait18.dataset.tables import write_csv
from portrait18.evaluation import audit, ensemble_config, voting
from stages import audit as stage

STEMS = {"incorrect_mask": 1, "mask1": 0, "mask2": 0, "normal": 2}
AGES = (22, 41, 65)


def labeled(people: int = 30) -> pd.DataFrame:
    """Labels of people with four photos each, in the order of the photos' names."""
    rows = []
    for i in range(people):
        folder = f"{i:06d}_x"
        rows += [
            (f"{folder}/{s}.jpg", folder, f"{i:06d}", m, i % 2, AGES[i % 3])
            for s, m in STEMS.items()
        ]
    table = pd.DataFrame(rows, columns=["photo", "folder", "person", "mask", "gender", "age"])
    return with_classes(table)


def with_classes(labels: pd.DataFrame) -> pd.DataFrame:
    labels = labels.assign(age_group=age_group(labels.age))
    return labels.assign(**{"class": encode(labels["mask"], labels.gender, labels.age_group)})


def predict(labels: pd.DataFrame, joint: bool = False, seed: int = 0) -> pd.DataFrame:
    """Predictions of good models, assembled from three tasks or from 18 classes.

    They are confident of the first fifteen people. An error is found if a model is more confident
    than it usually is of that class.
    """
    rng = np.random.default_rng(seed)
    doubt = np.where(labels.person.astype(int) < 15, 0.05, 1.0)[:, None]

    def probabilities(truth, count):
        noise = doubt * rng.uniform(0, 1.5 / count, (len(truth), count))
        noise[np.arange(len(truth)), truth] += 2
        return noise / noise.sum(1, keepdims=True)

    tasks = (ALL,) if joint else TASKS.values()
    parts = {
        t.name: probabilities(labels[t.label_column].to_numpy(), len(t.classes)) for t in tasks
    }
    predictions = {
        task: ensemble_config.TaskPredictions(p, p.argmax(1)) for task, p in parts.items()
    }
    return voting.assemble(predictions, pd.Index(labels.photo), None)


@pytest.fixture
def wrong():
    """True labels, and recorded ones with an error in a photo's mask, a person's gender and age."""
    true = labeled()
    recorded = true.copy()
    recorded.loc[recorded.photo == "000004_x/mask1.jpg", "mask"] = 2
    recorded.loc[recorded.person == "000007", "gender"] = 0
    recorded.loc[recorded.person == "000012", "age"] = 62
    return true, with_classes(recorded)


@pytest.mark.parametrize("joint", [False, True], ids=["three tasks", "18 classes"])
def test_exactly_the_label_errors_are_found(wrong, joint):
    true, recorded = wrong
    found = audit.suspects(predict(true, joint), recorded.sample(frac=1, random_state=0))
    assert list(found) == audit.COLUMNS
    rows = found.set_index("task")[["photo", "person", "recorded", "suggested"]]
    assert len(found) == 3
    assert rows.loc["mask"].tolist() == ["000004_x/mask1.jpg", "000004", "none", "worn"]
    assert rows.loc["gender"].tolist() == ["000007_x/normal.jpg", "000007", "male", "female"]
    assert rows.loc["age"].tolist() == ["000012_x/normal.jpg", "000012", "old", "young"]
    years = found.set_index("task").years_from_boundary
    assert years["age"] == 62 - 29
    assert years[["mask", "gender"]].isna().all()


def test_correct_labels_give_an_empty_table_with_its_header(tmp_path):
    labels = labeled()
    found = audit.suspects(predict(labels), labels)
    assert found.empty
    assert list(found) == audit.COLUMNS
    write_csv(found, tmp_path / "suspects.csv")
    assert (tmp_path / "suspects.csv").read_text() == ",".join(audit.COLUMNS) + "\n"
    assert tables.read(tmp_path / "suspects.csv").empty


def test_quality_is_the_mean_probability_of_the_recorded_label(wrong):
    true, recorded = wrong
    predictions = predict(true)
    quality = audit.suspects(predictions, recorded).set_index("task").quality
    own = (recorded.person == "000007").to_numpy()
    assert quality["gender"] == pytest.approx(predictions.gender_male[own].mean())
    assert quality["mask"] == pytest.approx(
        predictions.mask_none[recorded.photo == "000004_x/mask1.jpg"].item()
    )


def test_the_worst_come_first(wrong):
    true, recorded = wrong
    recorded.loc[recorded.person.isin(["000001", "000009"]), "gender"] = 0
    found = audit.suspects(predict(true), with_classes(recorded))
    assert len(found) == 5
    assert found.quality.is_monotonic_increasing
    assert found.quality.between(0, 1).all()
    pd.testing.assert_frame_equal(found, audit.suspects(predict(true), with_classes(recorded)))


def test_gender_has_one_row_per_person_with_mean_probabilities():
    labels = labeled(4)
    predictions = predict(labels)
    table = audit.label_table(GENDER, predictions, labels)
    assert table.person.tolist() == ["000000", "000001", "000002", "000003"]
    assert table.photo.str.endswith("normal.jpg").all()
    assert table.recorded.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(
        table.gender_female, predictions.gender_female.to_numpy().reshape(4, 4).mean(1)
    )
    assert len(audit.label_table(MASK, predictions, labels)) == 16


def test_without_a_bare_face_another_photo_represents_the_person():
    labels = labeled(4)
    labels = labels[labels["mask"] != 2]
    assert (
        audit.label_table(AGE, predict(labels), labels)
        .photo.str.endswith("incorrect_mask.jpg")
        .all()
    )


def test_two_people_with_one_id_are_checked_separately():
    labels = labeled(4).replace({"person": {"000001": "000000"}})
    table = audit.label_table(AGE, predict(labels), labels)
    assert table.person.tolist() == ["000000", "000000", "000002", "000003"]
    assert table.age.tolist() == [22, 41, 65, 22]


def test_years_from_boundary_is_the_distance_to_the_age_group():
    age = np.array([29, 30, 31, 31, 59, 60, 61, 25, 45, 60])
    group = np.array([1, 0, 0, 2, 2, 1, 1, 2, 1, 2])
    assert audit.years_from_boundary(age, group).tolist() == [1, 1, 2, 29, 1, 1, 2, 35, 0, 0]


@pytest.mark.filterwarnings("error")
def test_a_class_that_nobody_has_is_never_suggested():
    true = labeled()
    recorded = true.copy()
    recorded.loc[recorded.age >= 60, "age"] = 45  # nobody is recorded as old, though some look old
    recorded.loc[recorded.person == "000000", "age"] = 50
    found = audit.task_suspects(AGE, predict(true), with_classes(recorded))
    assert "old" not in set(found.suggested)
    assert found.set_index("person").suggested.to_dict()["000000"] == "young"


@pytest.mark.parametrize("people", [1, 2])
def test_a_task_with_a_single_class_has_no_suspects(people):
    labels = with_classes(labeled(people).assign(age=40, gender=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = audit.suspects(predict(labels), labels)
    assert found.empty


def test_probabilities_of_zero_are_allowed(wrong):
    true, recorded = wrong
    predictions = predict(true)
    for task in TASKS.values():
        predictions[task.columns] = np.eye(len(task.classes))[
            predictions[task.columns].to_numpy().argmax(1)
        ]
    found = audit.suspects(predictions, recorded)
    assert set(found.person) == {"000004", "000007", "000012"}
    assert np.isfinite(found.quality).all()


def test_captions_are_in_order_of_quality_and_fit_the_sheet(wrong):
    true, recorded = wrong
    recorded.loc[recorded.person == "000009", "gender"] = 0
    found = audit.suspects(predict(true), with_classes(recorded))
    worst = found[found.task == "gender"].photo.tolist()
    store = pd.Series(sorted(true.photo, reverse=True))
    captions = audit.captions(found, GENDER, store, 48)
    assert [store[row] for row in captions] == worst
    assert list(captions.values()) == ["male->female"] * 2
    assert list(audit.captions(found, GENDER, store, 1)) == list(captions)[:1]
    assert (
        max(
            len(f"{a}->{b}") for t in TASKS.values() for a in t.classes for b in t.classes if a != b
        )
        <= 16
    )


@pytest.mark.parametrize("errors", [True, False])
def test_the_stage_writes_a_table_and_a_contact_sheet_for_each_task(
    tmp_path, monkeypatch, wrong, errors, capsys
):
    true, recorded = wrong
    monkeypatch.chdir(tmp_path)
    write_csv(predict(true), "data/ensemble/validation.csv")
    write_csv(recorded if errors else true, "data/labels.csv")
    write_csv(true[["photo"]], "data/crops/train.csv")
    pixels = np.random.default_rng(0).integers(0, 256, (len(true), 32, 32, 3), np.uint8)
    np.save("data/crops/train.npy", pixels)
    stage.main()
    assert len(tables.read("reports/audit/suspects.csv")) == (3 if errors else 0)
    for name in TASKS:
        with Image.open(f"reports/audit/{name}.png") as sheet:
            assert sheet.size == (12 * 100 + 4, 120)
    assert f"mask {int(errors)} photos, gender {int(errors)} persons" in capsys.readouterr().out
    first = {p.name: p.read_bytes() for p in (tmp_path / "reports/audit").iterdir()}
    stage.main()
    assert first == {p.name: p.read_bytes() for p in (tmp_path / "reports/audit").iterdir()}
    assert len(first) == 4
