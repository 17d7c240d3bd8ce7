import shutil
from pathlib import Path

import pytest

from gifty.ontology.loader import DATA, OntologyError, load_ontology
from gifty.ontology.models import NO_GIFT_ROLES
from tests.fixtures.knowledge import shipped_ontology

INTEREST = '[[interest]]\nid = "tea"\nru = "чай"\nen = "tea"\nforms = ["чай"]\nmotifs = ["чайн*"]\n'
PARENT = '[[kind]]\nid = "tableware"\nru = "посуда"\nen = "tableware"\ngift = 0.5\nages = [16, 99]\naxes = { warmth = 0.7 }\nbreaks = ["kids_safe"]\n'  # noqa: E501
CHILD = '[[kind]]\nid = "teapot"\nru = "чайник"\nen = "teapot"\nis = "tableware"\nforms = ["чайник"]\ninterests = ["tea:0.8"]\naxes = { wow = 0.6 }\n'  # noqa: E501


def knowledge(folder: Path, kinds: str = PARENT + CHILD, interests: str = INTEREST) -> Path:
    (folder / "kinds").mkdir(exist_ok=True)
    (folder / "interests.toml").write_text(interests)
    (folder / "kinds" / "kitchen.toml").write_text(kinds)
    (folder / "grammar.toml").write_text("[grammar]\npackers = []\nempty = []\nparts = []\nvehicles = []\n")
    return folder


def test_what_is_not_given_is_inherited(tmp_path):
    kind = load_ontology(knowledge(tmp_path)).kinds["teapot"]
    assert (kind.gift, kind.ages, kind.domain) == (0.5, (16, 99), "kitchen")
    assert (kind.axes["warmth"], kind.axes["wow"]) == (0.7, 0.6)
    assert kind.breaks == {"kids_safe"}
    assert kind.interests == {"tea": 0.8}


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (PARENT + PARENT, "is already in"),
        (CHILD, "unknown kind 'tableware'"),
        (PARENT + CHILD.replace("tea:0.8", "teee"), "interests has unknown 'teee'"),
        (PARENT + CHILD.replace("0.6", "1.6"), "axes.wow must be a number from 0 to 1"),
        (PARENT + CHILD + "colour = 3\n", "unknown key 'colour'"),
        (PARENT.replace("[16, 99]", "[99, 16]"), "ages must be [youngest, oldest]"),
        (PARENT + 'is = "teapot"\n' + CHILD, "is runs in a circle"),
        (PARENT.replace("kids_safe", "kid_safe"), "breaks has unknown 'kid_safe'"),
        ("[[kind]\n", "not valid TOML"),
        (PARENT.replace('"tableware"', '"Table Ware"', 1), "id must be snake_case"),
    ],
)
def test_a_wrong_entry_is_named_with_its_file(tmp_path, kinds, told):
    with pytest.raises(OntologyError) as caught:
        load_ontology(knowledge(tmp_path, kinds))
    assert told in str(caught.value)
    assert "kinds/kitchen.toml" in str(caught.value)


def test_all_problems_are_told_at_once(tmp_path):
    with pytest.raises(OntologyError) as caught:
        load_ontology(knowledge(tmp_path, PARENT + CHILD + "colour = 3\nweight = 2\n", INTEREST + "taste = 1\n"))
    assert len(caught.value.problems) == 3


def test_the_compiled_form_is_kept_and_follows_the_data(tmp_path):
    data, cache = knowledge(tmp_path), tmp_path / "cache"
    first = load_ontology(data, cache)
    again = load_ontology(data, cache)
    assert again.stamp == first.stamp
    assert again.kinds["teapot"] == first.kinds["teapot"]
    knowledge(tmp_path, PARENT + CHILD.replace("0.6", "0.9"))
    changed = load_ontology(data, cache)
    assert changed.stamp != first.stamp
    assert changed.kinds["teapot"].axes["wow"] == 0.9
    assert len(list(cache.glob("ontology-*.json"))) == 1


def test_a_broken_cache_is_made_anew(tmp_path):
    data, cache = knowledge(tmp_path), tmp_path / "cache"
    load_ontology(data, cache)
    for path in cache.glob("*.json"):
        path.write_text("{")
    assert "teapot" in load_ontology(data, cache).kinds


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert "teapot" in load_ontology(knowledge(tmp_path), blocked / "cache").kinds


def test_the_shipped_knowledge_is_complete():
    ontology = shipped_ontology()
    assert len(ontology.interests) >= 110
    assert all(interest.near for interest in ontology.interests.values())
    assert all(ontology.forms[f"interest:{name}"] for name in ontology.interests)
    assert {kind.role for kind in ontology.kinds.values()} >= {"thing", "part", "accessory", "material", "consumable"}
    parts = [kind for kind in ontology.kinds.values() if kind.role == "part"]
    assert parts
    assert all(kind.gift <= 0.35 for kind in parts)
    assert NO_GIFT_ROLES.isdisjoint(kind.role for kind in ontology.kinds.values() if kind.is_gift)


def test_the_shipped_knowledge_can_be_copied_and_read_elsewhere(tmp_path):
    shutil.copytree(DATA, tmp_path / "data")
    assert load_ontology(tmp_path / "data").stamp == shipped_ontology().stamp
