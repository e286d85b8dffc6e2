"""What the lake's storage answers when it does not do as it is asked, as the platform's own errors.

The same refusal reaches us through two clients (s3fs and deltalake), each of which wraps it in words of its own: S3's
own code says what it is.

What does not belong here: asking anything (``store``, ``delta``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from warehouse.errors import AccessDenied, DrivetrainError, LakeUnavailable, ObjectMissing

#: Modules whose errors say that S3 does not answer, or refuses.
_CLIENTS = ("botocore", "aiobotocore", "aiohttp")

_RENEW = "Renew AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
_EXPIRED = ("the credentials have expired", f"{_RENEW}, then run again: it goes on from where it stopped.")
_WRONG = ("the credentials are not accepted", f"{_RENEW}, or the endpoint: are they of this store?")
#: S3's codes of refusals that only a person can end, what they mean, and what to do.
_REFUSALS: Mapping[str, tuple[str, str]] = {
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "InvalidToken": _WRONG,
    "InvalidAccessKeyId": _WRONG,
    "SignatureDoesNotMatch": _WRONG,
    "AccessDenied": ("access is denied", "The credentials need to list, read, write and delete objects of the bucket."),
    "RequestTimeTooSkewed": ("this machine's clock is too far from the store's", "Set the clock, then run again."),
}
_REFUSED = (
    "it refuses",
    "Have the credentials expired? They need to list, read, write and delete objects of the bucket.",
)


def of_store(error: BaseException) -> bool:
    """Whether an error is of a file system, or of s3fs and what it stands on."""
    return isinstance(error, OSError | TimeoutError) or type(error).__module__.startswith(_CLIENTS)


def told(place: str, error: BaseException) -> DrivetrainError:
    """The platform's error for one of a client's.

    Args:
        place: what was asked for, as a person knows it.
        error: of a file system, of s3fs or of deltalake.
    """
    code = _code(error)
    if code in (*_REFUSALS, "403") or " 403 " in str(error):  # to HEAD a store answers without a code
        said, hint = _REFUSALS.get(code or "", _REFUSED)
        return AccessDenied(f"{place} cannot be reached: {said}{f' ({code})' if code else ''}", hint=hint)
    if code == "NoSuchBucket":
        return LakeUnavailable(
            f"{place} is not there, nor is its bucket", hint="Make the bucket, or mend DRIVETRAIN_LAKE_URL."
        )
    if isinstance(error, FileNotFoundError):
        return ObjectMissing(
            f"{place} is not there",
            hint="Is it the right bucket? `drivetrain prove` says what the lake should hold.",
        )
    return LakeUnavailable(
        f"{place} cannot be reached: {getattr(error, 'strerror', None) or _plain(error)}",
        hint="Nothing was moved. Is the place reachable, writable, and not full? Are the credentials valid?",
    )


def _plain(error: BaseException) -> str:
    """What a client says, in one line without its colours."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())[:500] or type(error).__name__


def _code(error: BaseException | None) -> str | None:
    """S3's own, of an error or of what it was made from: botocore has it apart, others quote the answer."""
    while error is not None:
        answer: Any = getattr(error, "response", None)
        if isinstance(answer, Mapping):
            return str(answer.get("Error", {}).get("Code", ""))  # type: ignore[reportUnknownMemberType]
        if found := re.search(r"<Code>(\w+)</Code>", str(error)):
            return found[1]
        error = error.__cause__
    return None
