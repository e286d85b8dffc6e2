"""Find what persons are known by in any text: all persons in one pass, and whole words only.

Of a text its words are looked up first; only where one of them is somebody's is it looked at closely. So it does not
matter how many persons there are. A mail address within a longer one, or a number within a longer number, is
somebody else's and not found. A telephone number is found however it is spaced, with or without its country.

What does not belong here: where texts come from.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from warehouse.proof.absence_sought import Known

_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")
_NUMBER = re.compile(r"\d(?:[ ().\-/\u00a0]{0,2}\d){6,}")
#: Shorter ones are in any text.
_SHORTEST, _SHORTEST_NUMBER = 4, 7
_SHORTEST_NATIONAL, _LONGEST_NUMBER = 8, 15


class Words:
    """What all persons of a batch are known by.

    Attributes:
        left_out: how many are too short to be looked for.
    """

    def __init__(self, known: Iterable[Known]) -> None:
        self.left_out = 0
        self._triggers: dict[str, list[tuple[re.Pattern[str], Known]]] = {}
        self._numbers: dict[str, set[Known]] = {}
        for each in dict.fromkeys(known):
            text = _folded(each.text).strip()
            words = _WORD.findall(text)
            digits = "".join(_DIGITS.findall(text))
            if each.kind == "phone" and len(digits) >= _SHORTEST_NUMBER:
                for number in _spellings(digits):
                    self._numbers.setdefault(number, set()).add(each)
            elif each.kind != "phone" and words and len(text) >= _SHORTEST:
                self._triggers.setdefault(_trigger(text), []).append((_pattern(text, words), each))
            else:
                self.left_out += 1

    def __bool__(self) -> bool:
        return bool(self._triggers or self._numbers)

    def may(self, text: str) -> bool:
        """Whether to look closer; a newline parts texts that were joined."""
        text = _folded(text)
        return not self._triggers.keys().isdisjoint(_WORD.findall(text)) or bool(self._called(text))

    def find(self, text: str) -> set[Known]:
        """Whatever of it a text has."""
        text = _folded(text)
        found = self._called(text)
        for word in self._triggers.keys() & set(_WORD.findall(text)):
            found |= {known for pattern, known in self._triggers[word] if pattern.search(text)}
        return found

    def find_in_json(self, text: str) -> set[Known]:
        """The same of a document, whose strings may be escaped."""
        if "\\" not in text:
            return self.find(text)
        try:
            return self.find("\n".join(leaves(json.loads(text))))
        except ValueError:
            return self.find(text)

    def is_all_of(self, text: str) -> bool:
        """Whether a text is nothing but something that tells one person from all others."""
        folded = _folded(text).strip()
        digits = "".join(_DIGITS.findall(folded))
        return any(
            folded == _folded(known.text).strip() or (known.kind == "phone" and digits in _spellings(_digits(known)))
            for known in self.find(text)
            if known.telling
        )

    def _called(self, text: str) -> set[Known]:
        if not self._numbers:
            return set()
        found: set[Known] = set()
        for run in _NUMBER.findall(text):
            groups = _DIGITS.findall(run)
            for first in range(len(groups)):
                number = ""
                for group in groups[first:]:
                    number += group
                    if len(number) > _LONGEST_NUMBER:
                        break
                    found |= self._numbers.get(number, set())
        return found


def leaves(document: Any) -> Iterator[str]:
    """Every name and every value in a document, as text."""
    if isinstance(document, dict):
        for name, value in document.items():  # type: ignore[reportUnknownVariableType]
            yield str(name)  # type: ignore[reportUnknownArgumentType]
            yield from leaves(value)
    elif isinstance(document, list):
        for each in document:  # type: ignore[reportUnknownVariableType]
            yield from leaves(each)
    elif document is not None:
        yield str(document)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _digits(known: Known) -> str:
    return "".join(_DIGITS.findall(known.text))


def _spellings(digits: str) -> set[str]:
    """A number with its country, dialled from abroad and at home, and bare."""
    bare = digits.lstrip("0")
    national = {bare[n:] for n in range(1, 4) if len(bare) - n >= _SHORTEST_NATIONAL + 2}
    return {digits, bare, f"00{bare}", *national, *(f"0{each}" for each in national)}


def _trigger(text: str) -> str:
    """The word by which a closer look is worth its while: the longest, of a mail address of what is before the @."""
    local = _WORD.findall(text.partition("@")[0])
    return max(local or _WORD.findall(text), key=len)


def _pattern(text: str, words: list[str]) -> re.Pattern[str]:
    if "@" in text:
        return re.compile(rf"(?<![\w.%+\-]){re.escape(text)}(?![\w\-])(?!\.\w)")
    return re.compile(r"(?<!\w)" + r"\W{1,3}".join(map(re.escape, words)) + r"(?!\w)")
