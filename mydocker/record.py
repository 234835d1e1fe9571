"""Record: the base of every value that walks from room to room.

A frozen, keyword-only class with equality, a repr and `replace`, declared like a dataclass. It
exists because `dataclasses` costs more start-up time than a whole container: its import, and the code
it generates for each class. Type checkers see a dataclass (PEP 681).
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself is too slow to import on the warm path
if TYPE_CHECKING:
    from typing import Any, ClassVar, Self, dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda cls: cls


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Record:
    """Subclasses declare fields as annotations; a class attribute of that name is its default."""

    fields: ClassVar[tuple[str, ...]] = ()
    _names: ClassVar[frozenset[str]] = frozenset()
    _required: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        declared = cls.__dict__.get("__annotations__", {})
        cls.fields = (*cls.fields, *(name for name in declared if name not in cls.fields))
        cls._names = frozenset(cls.fields)
        cls._required = frozenset(name for name in cls.fields if not hasattr(cls, name))

    def __init__(self, **values: Any) -> None:
        if not self._required <= values.keys() <= self._names:
            unknown, missing = sorted(values.keys() - self._names), sorted(self._required - values.keys())
            raise TypeError(f"{type(self).__name__}: unknown fields {unknown}, missing fields {missing}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    __delattr__ = __setattr__  # type: ignore[assignment]  # one body refuses both; it never looks at the value

    def as_dict(self) -> dict[str, Any]:
        """The fields in the order they were declared, defaults included; nested records stay records."""
        return {name: getattr(self, name) for name in self.fields}

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return type(self)(**{**self.__dict__, **changes})

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in self.fields)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"{type(self).__name__}({shown})"
