"""What a mistyped name was probably meant to be."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_MANY = 100  # names, with each of which a word can still be compared
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
_STEM = 3  # letters that a prefix of a name needs to count as that name
_ALIKE = 0.7  # difflib's ratio for a few typing mistakes; words that only share letters have less


def nearest(text: str, known: Collection[str]) -> str | None:
    """The known name most like TEXT, or None if none is like it.

    Of many names, such as the services of a large file, only one that is a single typing mistake away is found. If
    KNOWN is a set or a mapping, the time for that does not depend on its size.
    """
    dashes = text[: len(text) - len(text.lstrip("-"))]  # which make all flags alike
    bare = text[:64].removeprefix(dashes)
    names = known if isinstance(known, set | frozenset | dict) else set(known)
    slip = next((dashes + each for each in _slips(bare) if dashes + each in names), None)
    if slip or len(known) > _MANY:
        return slip
    from difflib import get_close_matches

    own = [name.removeprefix(dashes) for name in known if name.startswith(dashes)]
    # `network` for net, `env` for environment
    stems = sorted((name for name in own if _is_stem(name, bare)), key=len)
    found = get_close_matches(bare, own, n=1, cutoff=_ALIKE) or stems
    return dashes + found[0] if found else None


def did_you_mean(text: str, known: Collection[str]) -> str:
    """The end of a message about the unknown name TEXT: which of KNOWN it may be."""
    return suggested(nearest(text, known))


def suggested(name: str | None) -> str:
    """The end of a message about an unknown name for which NAME may be meant; empty for None."""
    return f"; did you mean {name!r}?" if name else ""


def _is_stem(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= _STEM and long.startswith(short)


def _slips(text: str) -> Iterator[str]:
    """The words that TEXT is one letter away from: one too many, two in the wrong order, another one, one too few.

    A short word with another letter is another word.
    """
    halves = [(text[:at], text[at:]) for at in range(len(text) + 1)]
    if len(text) >= _STEM:
        yield from (before + after[1:] for before, after in halves if after)
        yield from (before + after[1] + after[0] + after[2:] for before, after in halves if len(after) > 1)
        yield from (before + letter + after[1:] for before, after in halves if after for letter in _LETTERS)
    yield from (before + letter + after for before, after in halves for letter in _LETTERS)
