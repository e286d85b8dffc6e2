"""``drivetrain keys``: the file of keys that erasure seals, compares and signs with."""

from __future__ import annotations

from typing import Annotated, cast

import typer
from rich.table import Table

from pipelines.cli.output import console, show_json
from resources.keys import ensure_keys, keys_file, load_keys
from resources.keys import rotate as rotate_file
from resources.settings import Settings
from warehouse.erasure.keys import USES, Keys, Use
from warehouse.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Keys that seal identifiers of erasure requests, and sign certificates.")

_JSON = typer.Option("--json", help="Print a JSON document for scripts.")
_WHAT = {
    "seal": "encrypts identifiers of requests",
    "digest": "makes identifiers comparable that nobody reads",
    "sign": "signs certificates",
}


@app.command()
def make(json: Annotated[bool, _JSON] = False) -> None:
    """Write a file of new keys, if there is none. An existing one is left as it is."""
    settings = Settings.load()
    _show(settings, ensure_keys(settings), json)


@app.command()
def show(json: Annotated[bool, _JSON] = False) -> None:
    """Which keys there are, and since when. Shows no secret."""
    settings = Settings.load()
    _show(settings, load_keys(settings), json)


@app.command()
def rotate(
    uses: Annotated[list[str] | None, typer.Argument(help="Of: seal, digest, sign; all if left out.")] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Put new keys in front. The old ones stay: they still open, compare and verify.

    After `sign`, publish the new key: `drivetrain certificate public-key`.
    """
    for use in uses or ():
        if use not in USES:
            raise ConfigurationError(f"{use!r} is no use of a key", hint=f"There are: {', '.join(USES)}")
    settings = Settings.load()
    _show(settings, rotate_file(settings, cast("tuple[Use, ...]", tuple(uses or USES))), json)


def _show(settings: Settings, keys: Keys, json: bool) -> None:
    every = [
        {"use": use, "id": key.id, "made": key.made.isoformat(), "in_use": place == 0}
        for use, of_it in zip(USES, (keys.seal_keys, keys.digest_keys, keys.sign_keys), strict=True)
        for place, key in enumerate(of_it)
    ]
    if json:
        show_json({"file": str(keys_file(settings)), "keys": every})
        return
    table = Table("for", "key", "made", "", box=None, header_style="bold")
    for key in every:
        said = _WHAT[str(key["use"])] if key["in_use"] else "old: what it was used for still opens"
        table.add_row(str(key["use"]), str(key["id"]), str(key["made"]), said)
    console.print(str(keys_file(settings)), markup=False, soft_wrap=True)
    console.print(table)
