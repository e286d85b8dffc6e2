"""The certificate of an erasure: what was done, what is kept and why, and who looked; signed, and checked by anybody.

The file is an envelope in canonical JSON (``warehouse.canonical``, RFC 8785 without fractions) and a newline: the
document, and apart from it an Ed25519 signature over its canonical form. Whoever has the public key can check it, with
no database and no key file; any other byte anywhere in the file is noticed.

A certificate names no person: a request number, hashes and counts. What does not belong here: gathering what it says,
and the page to print (``page``).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from warehouse.canonical import LARGEST, canonical, parse_canonical
from warehouse.catalog.model import Law
from warehouse.erasure.identifiers import Identifier
from warehouse.erasure.keys import Keys, PublicKey
from warehouse.errors import DrivetrainError, Tampered

DOCUMENT = "drivetrain-erasure-certificate-1"
ENVELOPE = "drivetrain-signed-1"
#: Before the document, so that a signature of something else is never one of a certificate.
_CONTEXT = DOCUMENT.encode() + b"\n"
#: Shorter ones stand in a document by chance; and so do user names, which may be any word.
_SHORTEST = 7
_NAMES_NOBODY = "username"


def _one_line(value: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs", "Cf", "Zl", "Zp") for character in value):
        raise ValueError("text of a certificate has no control characters")
    return value


def _utc(value: dt.datetime) -> dt.datetime:
    return value.astimezone(dt.UTC)


Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_one_line)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=LARGEST, strict=True)]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
Tier = Literal["operational", "warehouse", "models", "lake", "objects", "cache", "queue", "export", "dagster"]
Action = Literal["delete", "redact", "pseudonymise", "rewrite", "rebuild"]
Outcome = Literal["completed", "completed_with_retention", "completed_pending_backup_expiry"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Request(_Part):
    """What was asked, by whom, and who agreed.

    Attributes:
        number: the platform's own; the person's identifiers are nowhere here.
        persons: how many were erased, over all systems.
        due: by when the law demanded an answer.
    """

    number: Text
    hash: Hash
    systems: tuple[Text, ...] = Field(min_length=1)
    persons: Count
    law: Law
    received_at: Moment
    due: dt.date
    requester: Text
    approver: Text
    approved_at: Moment

    @model_validator(mode="after")
    def _four_eyes(self) -> Self:
        if self.requester == self.approver:
            raise ValueError("who asked for an erasure does not approve it")
        return self


class Plan(_Part):
    """What was approved: the sealed plan, and the version of the catalog that it was made from."""

    hash: Hash
    sealed_at: Moment
    policy_version: Hash


class Span(_Part):
    """From when to when."""

    started_at: Moment
    finished_at: Moment

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.finished_at < self.started_at:
            raise ValueError("finished before it started")
        return self


class Clock(_Part):
    """What a server's clock said when ours said something: by how much its times here may differ."""

    server: Text
    said: Moment
    ours: Moment


class Store(_Part):
    """What was done in one place.

    Attributes:
        locator: table or bucket; no file names, which may tell of a person.
        expected: rows or objects, as the plan counted them.
        actual: how many it were.
        residual: how many were found afterwards, by another role and code.
        versions_removed: former versions of objects and files that are gone as well.
        why: if not as many were met as expected.
    """

    tier: Tier
    system: Text
    locator: Text
    action: Action
    expected: Count
    actual: Count
    residual: Count
    versions_removed: Count = 0
    why: Text | None = None

    @model_validator(mode="after")
    def _accounted_for(self) -> Self:
        if self.expected != self.actual and self.why is None:
            raise ValueError(
                f"{self.system}.{self.locator}: {self.actual} instead of {self.expected}, and nobody says why"
            )
        return self


class Kept(_Part):
    """Rows that stay, on which basis, and when somebody has to ask again whether they may.

    Attributes:
        pseudonymised: they name nobody any more.
    """

    system: Text
    table: Text
    rows: Count
    basis: Text
    pseudonymised: bool
    review_on: dt.date


class Backups(_Part):
    """Until when copies exist that nobody can change: the horizon at which the last of them expires."""

    expire_on: dt.date
    how: Text


class Check(_Part):
    """One thing that was looked for afterwards: in how much, and how often it was found."""

    what: Text
    looked_at: Count
    found: Count


class Verification(Span):
    """Who looked afterwards, for what, with which result.

    Attributes:
        verifier: the database role, which is not the one that erased.
        mentions: places in free text that may mean the person: a human reviews them.
    """

    verifier: Text
    checks: tuple[Check, ...] = Field(min_length=1)
    mentions: Count = 0


class Certificate(_Part):
    """The whole document. It is only made once nothing is left that should be gone."""

    format: Literal["drivetrain-erasure-certificate-1"] = DOCUMENT
    number: Text
    issuer: Text
    issued_at: Moment
    outcome: Outcome
    request: Request
    plan: Plan
    execution: Span
    clocks: tuple[Clock, ...] = Field(min_length=1)
    stores: tuple[Store, ...]
    kept: tuple[Kept, ...]
    backups: Backups | None
    verification: Verification
    out_of_scope: tuple[Text, ...]

    @model_validator(mode="after")
    def _nothing_is_left(self) -> Self:
        left = sum(store.residual for store in self.stores) + sum(check.found for check in self.verification.checks)
        if left:
            raise ValueError(f"there is no certificate while something is left (found {left})")
        return self

    @model_validator(mode="after")
    def _outcome_is_what_it_says(self) -> Self:
        pending = self.backups is not None and self.backups.expire_on > self.issued_at.date()
        if self.outcome == "completed" and (self.kept or pending):
            raise ValueError("'completed' keeps nothing and has no backups left")
        if self.outcome == "completed_with_retention" and not self.kept:
            raise ValueError("'completed_with_retention' names what is kept")
        if self.outcome == "completed_pending_backup_expiry" and not pending:
            raise ValueError("'completed_pending_backup_expiry' names the day on which backups expire")
        return self


class _Signature(_Part):
    algorithm: Literal["Ed25519"]
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    fingerprint: Hash
    value: str


class Envelope(_Part):
    """A certificate as it stands in a file, with what was signed by whom; not checked yet."""

    format: Literal["drivetrain-signed-1"]
    document: Certificate
    signature: _Signature


def issue(certificate: Certificate, keys: Keys, never: Iterable[Identifier]) -> bytes:
    """Sign a certificate: the content of its file.

    Args:
        certificate: the document.
        keys: the newest signs.
        never: what the person is known by; the document is refused if one of them stands in it.

    Raises:
        DrivetrainError: the document names the person.
    """
    document = certificate.model_dump(mode="json")
    _refuse_names(document, never)
    signature = keys.sign(_CONTEXT + canonical(document))
    envelope = {
        "format": ENVELOPE,
        "document": document,
        "signature": {
            "algorithm": "Ed25519",
            "key": signature.key.id,
            "fingerprint": signature.key.fingerprint,
            "value": base64.b64encode(signature.value).decode(),
        },
    }
    return canonical(envelope) + b"\n"


def read_certificate(content: bytes) -> Envelope:
    """What a file says, without checking who signed it.

    Raises:
        Tampered: it is no certificate, or not as one is written.
    """
    return _parse(content)[0]


def verify(content: bytes, keys: Sequence[PublicKey]) -> Certificate:
    """Check a file, and give what it says.

    Args:
        content: all of the file.
        keys: the public keys that are trusted; one of them has signed.

    Raises:
        Tampered: something was changed, the key is another, or it is no certificate. Says which.
    """
    envelope, document = _parse(content)
    signed = envelope.signature
    key = next((each for each in keys if each.fingerprint == signed.fingerprint), None)
    if key is None:
        raise Tampered(
            f"it says that the key {signed.fingerprint[:16]} signed it, which is not among those given"
            f" ({', '.join(each.id for each in keys)})",
            hint="Take the public key from its publisher, not from whoever sent the certificate.",
        )
    if signed.key != key.id:
        raise Tampered("its key's name was changed: it does not belong to the fingerprint", hint=_DISTRUST)
    try:
        value = base64.b64decode(signed.value, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if base64.b64encode(value).decode() != signed.value or not key.verifies(_CONTEXT + canonical(document), value):
        raise Tampered("the signature does not fit: the document or the signature was changed", hint=_DISTRUST)
    return envelope.document


_DISTRUST = "Do not trust it. Ask its issuer for the file anew."


def _parse(content: bytes) -> tuple[Envelope, Any]:
    if not content.endswith(b"\n"):
        raise Tampered("it does not end as a certificate does: it was cut short or changed", hint=_DISTRUST)
    try:
        envelope = parse_canonical(content[:-1])
    except ValueError as error:
        raise Tampered(f"it is no certificate as it was written: {_said(error)}", hint=_DISTRUST) from None
    try:
        return Envelope.model_validate_json(content), envelope["document"]
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "file"
        raise Tampered(
            f"it is no certificate of a kind that is known: {where}: {error.errors()[0]['msg']}",
            hint="It may be of a later version of Drivetrain; or it was changed.",
        ) from None


def _said(error: ValueError) -> str:
    """What the JSON reader says of a place in the file, without quoting it."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no UTF-8"
    return str(error)


def _refuse_names(document: Any, never: Iterable[Identifier]) -> None:
    text = canonical(document).decode().casefold()
    for identifier in never:
        forms = {identifier.text.casefold(), identifier.normalised, *([identifier.digits] if identifier.digits else [])}
        if identifier.kind != _NAMES_NOBODY and any(len(form) >= _SHORTEST and form in text for form in forms):
            raise DrivetrainError(
                f"the certificate would name the person by {identifier.kind.replace('_', ' ')}; none was made",
                hint="Look for it in what is kept, out of scope, or in the reasons of differing counts.",
            )
