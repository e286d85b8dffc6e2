"""The keys that erasure works with: what seals the identifiers of a request, what makes them comparable, what signs.

They are in one file that nobody else may read, and in no database: who has the databases alone can read no identifier
of a request. Keys are rotated by putting a new one in front: the first of each kind is used, the others still open,
compare and verify. Whoever loses the file loses what was sealed; whoever copies it can read and sign.

What does not belong here: where the file is (``resources.keys``), and what is sealed or signed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime as dt
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from warehouse.errors import ConfigurationError, Tampered

#: What a key is for: sealing identifiers (AES-256-GCM), digesting them (HMAC-SHA-256), signing (Ed25519).
Use = Literal["seal", "digest", "sign"]
USES: tuple[Use, ...] = get_args(Use)
FORMAT = "drivetrain-keys-1"
_SEALED = b"\x01"
_ID, _NONCE, _SECRET = 8, 12, 32


@dataclass(frozen=True)
class Key:
    """One key. Its id is public: it stands before what was sealed, and beside what was signed."""

    id: str
    made: dt.date
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class PublicKey:
    """What verifies a signature.

    Attributes:
        raw: the 32 bytes of the Ed25519 key.
    """

    raw: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key, in hexadecimal digits."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def id(self) -> str:
        """The fingerprint's beginning, by which people and files name the key."""
        return self.fingerprint[: 2 * _ID]

    @property
    def pem(self) -> str:
        """As every tool reads it (SubjectPublicKeyInfo)."""
        public = Ed25519PublicKey.from_public_bytes(self.raw)
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def verifies(self, content: bytes, signature: bytes) -> bool:
        """Whether this key's owner signed exactly that."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, content)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Signature:
    """Who signed, and the 64 bytes that show it."""

    key: PublicKey
    value: bytes


@dataclass(frozen=True)
class Keys:
    """All keys, newest first; shows none of them.

    Attributes:
        place: where they were read from, for messages.
    """

    seal_keys: tuple[Key, ...]
    digest_keys: tuple[Key, ...]
    sign_keys: tuple[Key, ...]
    place: str = "the key file"

    def seal(self, content: bytes, about: bytes = b"") -> bytes:
        """Encrypt, so that only a holder of the keys reads it.

        Args:
            content: what nobody may read.
            about: where it belongs, e.g. a request's number: what was sealed there opens nowhere else.
        """
        key = self.seal_keys[0]
        head = _SEALED + bytes.fromhex(key.id)
        nonce = os.urandom(_NONCE)
        return head + nonce + AESGCM(key.secret).encrypt(nonce, content, head + about)

    def open(self, sealed: bytes, about: bytes = b"") -> bytes:
        """What was sealed, with whichever key.

        Raises:
            ConfigurationError: it was sealed with a key that is not here.
            Tampered: it is not what was sealed, or belongs elsewhere.
        """
        start = len(_SEALED) + _ID
        if len(sealed) < start + _NONCE + 16 or not sealed.startswith(_SEALED):
            raise Tampered("what was to be opened was never sealed, or was cut short", hint=_CHANGED)
        identity = sealed[len(_SEALED) : start].hex()
        key = next((each for each in self.seal_keys if each.id == identity), None)
        if key is None:
            raise ConfigurationError(
                f"it was sealed with the key {identity}, which {self.place} does not have",
                hint="Point DRIVETRAIN_KEYS at the file that has it, or bring that file back from its backup.",
            )
        try:
            nonce, content = sealed[start : start + _NONCE], sealed[start + _NONCE :]
            return AESGCM(key.secret).decrypt(nonce, content, sealed[:start] + about)
        except InvalidTag:
            raise Tampered("what was sealed was changed, or put where it does not belong", hint=_CHANGED) from None

    def digest(self, kind: str, value: str) -> bytes:
        """Make values comparable that nobody can read: a keyed hash.

        Args:
            kind: of what, e.g. ``email``; the same text of another kind has another digest.
            value: normalised (``warehouse.erasure.identifiers``).
        """
        return _digest(self.digest_keys[0], kind, value)

    def digests(self, kind: str, value: str) -> list[bytes]:
        """The digest under every key, newest first: what was digested with an old key is found with all of them."""
        return [_digest(key, kind, value) for key in self.digest_keys]

    def sign(self, content: bytes) -> Signature:
        """Sign with the newest key."""
        private = Ed25519PrivateKey.from_private_bytes(self.sign_keys[0].secret)
        return Signature(_public(self.sign_keys[0]), private.sign(content))

    @property
    def public_keys(self) -> tuple[PublicKey, ...]:
        """What verifies signatures, newest first."""
        return tuple(map(_public, self.sign_keys))

    def rotated(self, today: dt.date, uses: Sequence[Use] = USES) -> Keys:
        """The same keys with a new one in front, of each use."""
        fresh = {f"{use}_keys": (_new_key(use, today), *getattr(self, f"{use}_keys")) for use in uses}
        return replace(self, **fresh)


_CHANGED = "Nothing can be read from it. Compare it with a backup, and find out who wrote it."


def new_keys(today: dt.date) -> Keys:
    """One key for each use."""
    seal, digest, sign = ((_new_key(use, today),) for use in USES)
    return Keys(seal, digest, sign)


def make_keys(path: Path, today: dt.date) -> Keys:
    """Write a file of new keys, whole or not at all; if another process was quicker, take what it wrote.

    Raises:
        ConfigurationError: it cannot be written, or what is there cannot be read.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = _written_beside(path, new_keys(today))
        try:
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)  # unlike a rename, never over another's keys
        finally:
            fresh.unlink()
        _sync_folder(path.parent)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: no keys can be written there: {error.strerror}", hint="DRIVETRAIN_KEYS names another place."
        ) from None
    return read_keys(path)


def rotate_keys(path: Path, today: dt.date, uses: Sequence[Use] = USES) -> Keys:
    """Put a new key of each use in front of the file's, whole or not at all.

    Raises:
        ConfigurationError: it cannot be read or written.
    """
    read_keys(path)  # says what is wrong with it
    try:
        with _alone(path.parent):
            keys = read_keys(path).rotated(today, uses)
            os.replace(_written_beside(path, keys), path)
            _sync_folder(path.parent)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the new keys cannot be written: {error.strerror}", hint="The old ones are as they were."
        ) from None
    return keys


def read_keys(path: Path) -> Keys:
    """The keys of a file.

    Raises:
        ConfigurationError: it is missing, others may read it, it cannot be read, or it is no file of keys.
    """
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise ConfigurationError(f"{path} is no file of keys", hint=_NAME_ANOTHER)
            if state.st_mode & 0o077:
                raise ConfigurationError(
                    f"{path}: others than its owner may read or write the keys (mode {state.st_mode & 0o777:04o})",
                    hint=f"Run chmod 600 {path}. If others could read it until now, rotate: `drivetrain keys rotate`.",
                )
            content = file.read()
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: no such file of keys",
            hint="Without it, no identifier of a request can be read. Bring it back from its backup; where there were"
            " never any requests, `drivetrain keys make` writes a new one.",
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path}: the keys cannot be read: {error.strerror}", hint=_NAME_ANOTHER) from None
    return _parse(content, str(path))


def parse_public_keys(content: bytes, place: str) -> list[PublicKey]:
    """The Ed25519 keys of a PEM file, as ``drivetrain certificate public-key`` prints it.

    Raises:
        ConfigurationError: it has none, a key of another kind, or a private one.
    """
    if b"PRIVATE KEY" in content:
        raise ConfigurationError(
            f"{place} has a private key", hint="Give the public one: `drivetrain certificate public-key`."
        )
    end = b"-----END PUBLIC KEY-----"
    blocks = [block + end for block in content.split(end)[:-1]]
    found: list[PublicKey] = []
    for block in blocks:
        try:
            key = load_pem_public_key(block[block.index(b"-----BEGIN") :])
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigurationError(f"{place}: a key that is no public key of Ed25519", hint=_PEM)
        found.append(PublicKey(key.public_bytes(Encoding.Raw, PublicFormat.Raw)))
    if not found:
        raise ConfigurationError(f"{place} has no public key", hint=_PEM)
    return found


_NAME_ANOTHER = "DRIVETRAIN_KEYS names the file; its owner alone may read it (mode 0600)."
_PEM = "A PEM file, as `drivetrain certificate public-key` prints it."


class _StoredKey(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: str
    made: dt.date
    secret: str

    @field_validator("id")
    @classmethod
    def _eight_bytes(cls, value: str) -> str:
        if len(bytes.fromhex(value)) != _ID or value != value.lower():
            raise ValueError("an id is 16 hexadecimal digits")
        return value

    def key(self) -> Key:
        secret = base64.b64decode(self.secret, validate=True)
        if len(secret) != _SECRET:
            raise ValueError("a secret is 32 bytes")
        return Key(self.id, self.made, secret)


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    format: Literal["drivetrain-keys-1"]
    seal: tuple[_StoredKey, ...]
    digest: tuple[_StoredKey, ...]
    sign: tuple[_StoredKey, ...]


def _parse(content: bytes, place: str) -> Keys:
    try:
        stored = _Stored.model_validate_json(content)
        keys = {use: tuple(each.key() for each in getattr(stored, use)) for use in USES}
    except (ValidationError, ValueError, binascii.Error):
        # Not what is wrong with it: that may quote a secret.
        raise ConfigurationError(
            f"{place} is no file of keys, or is damaged", hint="Bring it back from its backup."
        ) from None
    if not all(keys.values()) or any(len({key.id for key in each}) != len(each) for each in keys.values()):
        raise ConfigurationError(f"{place} lacks a key, or has two of one id", hint="Bring it back from its backup.")
    for key in keys["sign"]:
        if key.id != _public(key).id:
            raise ConfigurationError(
                f"{place}: the signing key {key.id} is another", hint="Bring it back from its backup."
            )
    return Keys(keys["seal"], keys["digest"], keys["sign"], place)


def _document(keys: Keys) -> dict[str, Any]:
    def stored(key: Key) -> dict[str, str]:
        return {"id": key.id, "made": key.made.isoformat(), "secret": base64.b64encode(key.secret).decode()}

    return {"format": FORMAT, **{use: [stored(key) for key in getattr(keys, f"{use}_keys")] for use in USES}}


def _written_beside(path: Path, keys: Keys) -> Path:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(_document(keys), indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return beside


@contextlib.contextmanager
def _alone(folder: Path) -> Generator[None]:
    """One rotation at a time: of two that read the same file, one would drop the other's key."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _new_key(use: Use, today: dt.date) -> Key:
    key = Key(secrets.token_hex(_ID), today, secrets.token_bytes(_SECRET))
    return replace(key, id=_public(key).id) if use == "sign" else key


def _public(key: Key) -> PublicKey:
    private = Ed25519PrivateKey.from_private_bytes(key.secret)
    return PublicKey(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def _digest(key: Key, kind: str, value: str) -> bytes:
    return hmac.digest(key.secret, kind.encode() + b"\0" + value.encode(), "sha256")
