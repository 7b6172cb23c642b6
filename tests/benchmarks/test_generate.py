import hashlib
from collections import Counter

import pytest
from PIL import Image
from synthetic import REPO

from benchmarks import generate
from portrait18.core.errors import UserError
from portrait18.dataset import inventory

DEMO = REPO / "data/demo"
SCALE = 0.004


def files(root) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def is_photo(name: str) -> bool:
    return "/images/" in name and "._" not in name


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    root = tmp_path_factory.mktemp("generated") / "data"
    generate.generate(root, DEMO, SCALE)
    return root


def test_a_small_data_set_has_the_competitions_layout(generated):
    table, problems = inventory.list_train(generated)
    assert problems == []
    assert len(table) == 7 * table.person.nunique()
    evaluation, problems, warnings = inventory.list_eval(generated)
    assert (problems, warnings) == ([], [])
    assert len(evaluation) == round(12_600 * SCALE)
    with Image.open(generated / "eval/images" / evaluation.photo[0]) as photo:
        assert photo.size == (384, 512)


def test_equal_arguments_give_equal_files_and_another_seed_does_not(generated, tmp_path):
    generate.generate(tmp_path / "again", DEMO, SCALE)
    assert files(tmp_path / "again") == files(generated)
    generate.generate(tmp_path / "other", DEMO, SCALE, seed=1)
    photos = [digest for name, digest in files(generated).items() if is_photo(name)]
    assert not set(photos) & set(files(tmp_path / "other").values())


def test_no_two_photos_are_equal(generated):
    photos = [digest for name, digest in files(generated).items() if is_photo(name)]
    assert max(Counter(photos).values()) == 1


def test_the_full_size_has_the_competitions_proportions():
    people = generate.people(DEMO, 1.0, 18)
    cells = Counter()
    for person in people:
        _, gender, _, age = person.folder.split("_")
        cells[gender, int(int(age) >= 30) + int(int(age) >= 60)] += 1
    assert [cells["male", g] for g in range(3)] == [549, 410, 83]
    assert [cells["female", g] for g in range(3)] == [732, 817, 109]
    ids = Counter(person.folder.split("_")[0] for person in people)
    assert len(people) == 2700
    assert len({person.folder for person in people}) == 2700
    assert sum("-" in ident for ident in ids) == 41
    assert {ident: n for ident, n in ids.items() if n > 1} == {"003397": 2}


def test_an_existing_folder_is_refused(generated):
    with pytest.raises(UserError, match="exists; remove it or name a new folder"):
        generate.generate(generated, DEMO, SCALE)
