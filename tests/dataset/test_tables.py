import numpy as np
import pandas as pd
import pytest

from portrait18.core.errors import UserError
from portrait18.dataset import tables
from portrait18.dataset.tables import write_csv


def test_names_and_ids_stay_text(tmp_path):
    written = pd.DataFrame(
        {
            "photo": ["NA", "000001", "null", "1e5"],
            "folder": ["nan", "1", "", "True"],
            "person": ["000001", "NA", "007", "1.0"],
            "digest": ["0000000000000012", "1e10000000000000", "", "00ff"],
        }
    )
    write_csv(written, tmp_path / "t.csv")
    assert tables.read(tmp_path / "t.csv").to_dict("list") == written.to_dict("list")


def test_names_of_digits_stay_text(tmp_path):
    written = pd.DataFrame(
        {name: ["000001", "000002"] for name in ("photo", "folder", "person", "digest", "set")}
    )
    write_csv(written, tmp_path / "t.csv")
    assert tables.read(tmp_path / "t.csv").to_dict("list") == written.to_dict("list")


def test_numbers_stay_numbers(tmp_path):
    write_csv(pd.DataFrame({"fold": [0, -1], "score": [0.5, 1.0]}), tmp_path / "t.csv")
    table = tables.read(tmp_path / "t.csv")
    assert table.fold.dtype == np.int64
    assert table.score.tolist() == [0.5, 1.0]


def test_empty_years_are_missing_numbers(tmp_path):
    write_csv(pd.DataFrame({"photo": ["a", "b"], "years": [41.5, np.nan]}), tmp_path / "t.csv")
    years = tables.read(tmp_path / "t.csv").years
    assert years[0] == 41.5
    assert np.isnan(years[1])


@pytest.mark.parametrize("kept", [0, 3, 14, 20, -1])
def test_a_truncated_table_is_rejected_in_one_line(tmp_path, kept):
    write_csv(pd.DataFrame({"photo": ["a", "b"], "years": [41.5, 30.25]}), tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes((tmp_path / "t.csv").read_bytes()[:kept])
    with pytest.raises(
        UserError, match=r"t\.csv is damaged .*run make repair, then dvc repro"
    ) as caught:
        tables.read(tmp_path / "t.csv")
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"photo\n\xff\xfe\n", b"photo\na,b\nc,d,e\n", b"\n"])
def test_a_damaged_table_is_rejected_in_one_line(tmp_path, data):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(UserError, match=r"t\.csv is damaged"):
        tables.read(tmp_path / "t.csv")


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(UserError, match=r"t\.csv is missing; run dvc repro"):
        tables.read(tmp_path / "t.csv")


def test_a_failed_write_leaves_the_old_table(tmp_path, monkeypatch):
    target = tmp_path / "t.csv"
    tables.write_csv(pd.DataFrame({"a": [1]}), target)

    def fail(self, path, **kwargs):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OSError, match="No space"):
        tables.write_csv(pd.DataFrame({"a": [2]}), target)
    assert target.read_text() == "a\n1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_tables_have_the_same_bytes_every_time(tmp_path):
    columns = {"photo": ["a,b", 'c"d', "한"], "p": np.array([0.1, 1 / 3, 1e-9]), "n": [1, -2, 3]}
    table = pd.DataFrame(columns, index=[7, 5, 6])
    for name in ("one.csv", "two.csv"):
        tables.write_csv(table, tmp_path / name)
    first = (tmp_path / "one.csv").read_bytes()
    assert first == (tmp_path / "two.csv").read_bytes()
    assert first == 'photo,p,n\n"a,b",0.1,1\n"c""d",0.3333333,-2\n한,1e-09,3\n'.encode()
