import pytest

from portrait18.core.errors import UserError
from portrait18.models.registry import Registry


def test_entries_are_found_by_their_names():
    registry = Registry("loss")

    @registry.register("one")
    @registry.register("uno")
    def one():
        return 1

    assert list(registry) == ["uno", "one"]
    assert registry["one"]() == registry["uno"]() == 1


def test_an_unknown_name_gives_one_line_with_a_suggestion():
    registry = Registry("loss")
    registry.register("focal")(lambda: None)
    with pytest.raises(UserError, match=r"loss = 'focall' is not .*; did you mean focal\?"):
        registry["focall"]
