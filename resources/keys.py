"""Where the keys of erasure are: as set, or in a folder of the home that its owner alone can enter."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from resources.settings import Settings
from warehouse.erasure.keys import Keys, Use, make_keys, read_keys, rotate_keys


def keys_file(settings: Settings) -> Path:
    """The file; whether it exists or not."""
    given = settings.get("KEYS")
    return Path(given).expanduser().absolute() if given else settings.home / "keys" / "erasure.json"


def load_keys(settings: Settings) -> Keys:
    """The keys, which have to be there: something was sealed or signed with them.

    Raises:
        ConfigurationError: they are not, or cannot be used.
    """
    return read_keys(keys_file(settings))


def ensure_keys(settings: Settings) -> Keys:
    """The keys, made now if there is no file: for what is sealed for the first time.

    Raises:
        ConfigurationError: they cannot be made or used.
    """
    file = keys_file(settings)
    if file.exists():
        return read_keys(file)
    if settings.get("KEYS") is None:
        settings.folder("keys")
    return make_keys(file, _today())


def rotate(settings: Settings, uses: tuple[Use, ...]) -> Keys:
    """Put new keys in front of the file's.

    Raises:
        ConfigurationError: they cannot be read or written.
    """
    return rotate_keys(keys_file(settings), _today(), uses)


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()
