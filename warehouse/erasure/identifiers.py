"""What a person is found by: how it is read, made comparable, and shown without telling it.

A telephone number is international if it begins with ``+``; of any other nobody can say which country it is of, so it
is compared as it is written and by the end of its digits. Nothing is guessed about a mail address but case does not
matter. What does not belong here: asking a database (``persons``), and encrypting (``keys``).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import get_args

from warehouse.catalog.model import IdentifierKind
from warehouse.errors import ConfigurationError

KINDS: tuple[IdentifierKind, ...] = get_args(IdentifierKind)
#: Fewer digits than these at a number's end are those of too many people.
SHORTEST_END = 7
#: E.164.
_LONGEST_PHONE = 15
_BETWEEN_DIGITS = re.compile(r"[\s\-./()\u2010-\u2015]*")


@dataclass(frozen=True)
class Identifier:
    """One thing that a person is known by; shows itself to nobody.

    Attributes:
        text: as it was given, without white space around it.
    """

    kind: IdentifierKind
    text: str = field(repr=False)

    @property
    def normalised(self) -> str:
        """The same for all spellings of the same: what is digested."""
        match self.kind:
            case "phone":
                return ("+" if self.international else "") + self.digits
            case "government_id":
                return "".join(character for character in self.text.casefold() if character.isalnum())
            case _:
                return self.text.casefold()

    @property
    def masked(self) -> str:
        """What may be shown of it."""
        return mask(self.kind, self.text)

    @property
    def international(self) -> bool:
        """Of a telephone number: whether it says its country."""
        return self.text.startswith("+")

    @property
    def digits(self) -> str:
        """Its decimal digits, of whichever script."""
        return _digits(self.text)


def parse_identifier(kind: IdentifierKind, text: str) -> Identifier:
    """Read an identifier, in whichever spelling.

    Raises:
        ConfigurationError: nobody could be found by it. The message does not quote it.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if not text:
        raise _refused(kind, "it is empty", "Leave the option out, or give a value.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text) or len(text) > 1000:
        raise _refused(kind, "it has control characters, or is far too long", "Give one value a line.")
    identifier = Identifier(kind, text)
    if kind == "email":
        _check_email(text)
    elif kind == "phone":
        _check_phone(identifier)
    elif kind == "government_id" and len(identifier.normalised) < 4:
        raise _refused(kind, "it has fewer than four letters and digits", "Give the whole number.")
    return identifier


def mask(kind: IdentifierKind, text: str) -> str:
    """An identifier as it may be shown: enough for who knows it, nothing for who does not."""
    text = text.strip()
    if kind == "email" and "@" in text:
        name, _, domain = text.rpartition("@")
        return f"{name[:1]}***@{domain}"
    if kind in ("phone", "government_id"):
        return f"***{text[-2:]}" if len(text) >= SHORTEST_END else "***"
    return f"{text[:1]}***" if len(text) > 3 else "***"


def _check_email(text: str) -> None:
    name, _, domain = text.rpartition("@")
    if not name or not domain or any(character.isspace() for character in text):
        raise _refused("email", "it is no mail address", "Write name@domain, without a name before it.")


def _check_phone(phone: Identifier) -> None:
    if "(0)" in re.sub(r"\s", "", phone.text) and phone.international:
        raise _refused("phone", "it has a country and a (0)", "Write it as it is dialled from abroad, without (0).")
    rest = phone.text.removeprefix("+")
    if not all(_digits(character) or _BETWEEN_DIGITS.fullmatch(character) for character in rest):
        raise _refused("phone", "it is no telephone number", "Write +<country><number>; digits, spaces and - ( ) . /")
    significant = phone.digits if phone.international else phone.digits.lstrip("0")
    if len(significant) < SHORTEST_END:
        raise _refused(
            "phone", f"it has fewer than {SHORTEST_END} digits", "Give the whole number, best with + and country."
        )
    if phone.international and (len(phone.digits) > _LONGEST_PHONE or phone.digits.startswith("0")):
        raise _refused(
            "phone", "no country's numbers are like this", f"After + a country and at most {_LONGEST_PHONE} digits."
        )


def _digits(text: str) -> str:
    return "".join(str(unicodedata.decimal(character)) for character in text if character.isdecimal())


def _refused(kind: IdentifierKind, what: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"the {kind.replace('_', ' ')} is of no use: {what}", hint=hint)
