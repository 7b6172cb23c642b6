"""Implementations by the name that selects them in params.yaml.

To add a loss, head, target or mixing method `NAME`:

1. `portrait18/core/variants.py`, or `loss_params.py` there: write a class with
   `name: Literal["NAME"]` and its keys, and list it in the union below it.
2. `portrait18/models/losses.py`, `heads.py`, `targets.py` or `portrait18/training/mixing.py`:
   write the function or class, decorated with the file's registry, e.g. `@LOSSES.register("NAME")`.
"""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from portrait18.core.errors import UserError
from portrait18.core.validation import nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Implementations of one kind, by name.

    Args:
        key: the params key that selects one, for messages.
    """

    def __init__(self, key: str):
        self._key = key
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers a function or class under a name."""

        def decorate(entry: T) -> T:
            self._entries[name] = entry
            return entry

        return decorate

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            known = nearest(name, list(self._entries))
            raise UserError(f"params.yaml: {self._key} = {name!r} is not implemented{known}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)
