"""GET /model returns the facts of the bundle's own bundle.json."""

import json

import httpx
import pytest
from fake import MANIFEST, serving

from portrait18.deployment.bundle import STARTER, Manifest
from portrait18.server.model_card import ModelCard, model_card

STARTER_FACTS = json.loads((STARTER / "bundle.json").read_text())


def served(manifest: Manifest) -> dict:
    with serving(card=model_card(manifest)) as address:
        response = httpx.get(f"{address}/model")
        schema = httpx.get(f"{address}/openapi.json").json()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    card = response.json()
    assert ModelCard.model_validate(card).model_dump(mode="json") == card
    described = schema["components"]["schemas"]["ModelCard"]["properties"]
    assert list(described) == list(card)
    return card


def test_the_starters_facts_are_those_of_its_bundle():
    card = served(Manifest.model_validate(STARTER_FACTS))
    metrics = STARTER_FACTS["metrics"]
    assert card["training_set"] == STARTER_FACTS["training_set"]
    assert card["notes"] == STARTER_FACTS["notes"]
    assert card["classes"] == STARTER_FACTS["classes"]
    assert card["inputs"] == STARTER_FACTS["inputs"]
    assert card["versions"] == STARTER_FACTS["versions"]
    assert card["faces"] == {"method": "mtcnn", "min_face": 0.2}
    assert card["validation"]["people"] == metrics["people"]
    scores = card["validation"]["scores"]
    assert scores["all"]["macro_f1"] == metrics["macro_f1"]
    for task in ("mask", "gender", "age"):
        assert scores[task]["accuracy"] == metrics[task]["accuracy"]
    assert scores["mask"]["recall"] == metrics["mask"]["recall"]
    assert [(n["model"], n["sha256"]) for n in card["networks"]] == [
        (n["model"], n["sha256"]) for n in STARTER_FACTS["networks"]
    ]
    few_people, low_accuracy = card["limits"]
    assert f"({STARTER_FACTS['training_set']['people']})" in few_people
    wrong = f"{100 - 100 * metrics['age']['accuracy']:.0f} of 100 age groups"
    assert wrong in low_accuracy


def limits(people: int = 1199, **metrics) -> list[str]:
    training_set = MANIFEST.training_set.model_copy(update={"people": people})
    changes = {"training_set": training_set, "metrics": metrics}
    return model_card(MANIFEST.model_copy(update=changes)).limits


@pytest.mark.parametrize(
    ("people", "accuracy", "expected"),
    [
        (1199, 0.95, []),
        (999, 0.95, ["few people (999)"]),
        (1199, 0.899, ["10 of 100 genders are predicted wrong"]),
        (36, 0.7, ["few people (36)", "30 of 100 genders are predicted wrong"]),
    ],
)
def test_limits_follow_from_the_number_of_people_and_the_accuracies(people, accuracy, expected):
    found = limits(people, mask={"accuracy": 0.99}, gender={"accuracy": accuracy})
    assert len(found) == len(expected)
    assert all(part in text for part, text in zip(expected, found, strict=True))


def test_a_bundle_without_scores_says_so():
    (found,) = limits()
    assert found == "There are no validation scores, so the accuracy is unknown."


def test_the_smallest_face_is_the_one_that_the_server_searches():
    assert model_card(MANIFEST, min_face=0.05).faces.min_face == 0.05
    assert model_card(MANIFEST).faces.min_face == 0.2
