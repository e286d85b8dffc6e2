"""What a store refuses is told by S3's own code, whichever client met it."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from warehouse.errors import AccessDenied, DrivetrainError, LakeUnavailable, ObjectMissing
from warehouse.lake.trouble import of_store, told


def met_by_s3fs(code: str, kind: type[OSError] = PermissionError) -> OSError:
    error = kind("as s3fs words it")
    error.__cause__ = ClientError({"Error": {"Code": code, "Message": "m"}}, "PutObject")
    return error


def met_by_deltalake(code: str) -> OSError:
    arrow = "\x1b[31m↳\x1b[0m"
    return OSError(f"Generic S3 error {arrow} 403 Forbidden {arrow} <Error><Code>{code}</Code></Error>")


CASES: dict[str, tuple[OSError, type[DrivetrainError], str]] = {
    "expired, s3fs": (met_by_s3fs("ExpiredToken"), AccessDenied, "the credentials have expired"),
    "expired, deltalake": (met_by_deltalake("ExpiredToken"), AccessDenied, "the credentials have expired"),
    "unknown key": (met_by_deltalake("InvalidAccessKeyId"), AccessDenied, "are not accepted"),
    "denied": (met_by_s3fs("AccessDenied"), AccessDenied, "access is denied"),
    "no word of why": (met_by_s3fs("403"), AccessDenied, "it refuses"),
    "no bucket": (met_by_s3fs("NoSuchBucket", FileNotFoundError), LakeUnavailable, "nor is its bucket"),
    "no object": (met_by_s3fs("NoSuchKey", FileNotFoundError), ObjectMissing, "is not there"),
    "no file": (FileNotFoundError(2, "No such file"), ObjectMissing, "is not there"),
    "full": (OSError(28, "No space left on device"), LakeUnavailable, "No space left on device"),
    "busy": (OSError("Generic S3 error \x1b[31m↳\x1b[0m 503"), LakeUnavailable, "Generic S3 error ↳ 503"),
}


@pytest.mark.parametrize("what", CASES)
def test_what_is_told(what: str) -> None:
    error, kind, said = CASES[what]
    answer = told("s3://lake/x", error)
    assert of_store(error)
    assert type(answer) is kind
    assert answer.message.startswith("s3://lake/x ") and said in answer.message and "\x1b" not in answer.message
    assert answer.hint
    assert answer.transient == (kind is LakeUnavailable)


def test_a_mistake_of_ours_is_none_of_a_store() -> None:
    assert not of_store(KeyError("x"))
