"""``drivetrain certificate``: read a certificate of erasure, and check it with the public key alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from pipelines.cli.output import console, counted, show_error, show_json
from warehouse.erasure.certificate import Certificate, Envelope, read_certificate, verify
from warehouse.erasure.keys import PublicKey, parse_public_keys
from warehouse.errors import ConfigurationError, Tampered

app = typer.Typer(no_args_is_help=True, help="Certificates of erasure: read them, check them, publish the key.")

_FILE = typer.Argument(metavar="FILE", help="The certificate.")
_JSON = typer.Option("--json", help="Print a JSON document for scripts.")


@app.command()
def show(
    file: Annotated[Path, _FILE],
    html: Annotated[Path | None, typer.Option(help="Write the page to print to this file.")] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """What a certificate says. Does not check who signed it: `verify` does."""
    envelope = read_certificate(_read(file))
    if html is not None:
        from warehouse.erasure.page import render_page

        _write(html, render_page(envelope))
        console.print(f"wrote {html}", markup=False, soft_wrap=True)
    elif json:
        show_json({"document": envelope.document.model_dump(mode="json"), "signature": envelope.signature.model_dump()})
    else:
        _show(envelope)


@app.command("verify")
def verify_file(
    file: Annotated[Path, _FILE],
    public_key: Annotated[Path, typer.Option(help="PEM file with the issuer's public key, or several of them.")],
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Check that a certificate is as it was signed, with the public key alone: no database, no key file.

    Exits 1 if a single byte differs, if another key signed it, or if it is no certificate, and says which.
    """
    keys = parse_public_keys(_read(public_key), str(public_key))
    content = _read(file)
    try:
        certificate = verify(content, keys)
    except Tampered as error:
        if json:
            show_json({"valid": False, "reason": error.message, "hint": error.hint})
        else:
            console.print(Text("not valid", style="bold red").append(f"  {file}", style="default"), soft_wrap=True)
            show_error(error)
        raise typer.Exit(1) from None
    key = read_certificate(content).signature.key
    if json:
        show_json({"valid": True, "key": key, "number": certificate.number, "outcome": certificate.outcome})
    else:
        console.print(Text("valid", style="bold green").append(f"  {file}", style="default"), soft_wrap=True)
        console.print(
            f"  {certificate.number}, issued {certificate.issued_at:%Y-%m-%d} by {certificate.issuer}: "
            f"{certificate.outcome.replace('_', ' ')}; signed with the key {key}",
            markup=False, soft_wrap=True,
        )  # fmt: skip


@app.command()
def save(
    request: Annotated[int, typer.Argument(help="The request's number.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; an existing file is left alone.")],
) -> None:
    """Write the newest certificate of a request to a file. As an auditor."""
    from resources import erasure
    from resources.settings import Settings

    settings = Settings.load()
    with settings.embedded_servers():
        number, content = erasure.certificates(settings, request)[-1]
    try:
        with file.open("xb") as target:
            target.write(content)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}", hint="Name another file.") from None
    console.print(f"wrote {number} to {file}", markup=False, soft_wrap=True)


@app.command("public-key")
def public_key(
    every: Annotated[bool, typer.Option("--all", help="Also the old ones, for certificates of before.")] = False,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Print the public key that certificates are checked with, as PEM. Publish it; it is no secret."""
    from resources.keys import load_keys
    from resources.settings import Settings

    keys = load_keys(Settings.load()).public_keys
    shown = keys if every else keys[:1]
    if json:
        show_json([_described(key) for key in shown])
    else:
        typer.echo("".join(f"Key {key.id}, SHA-256 {key.fingerprint}\n{key.pem}" for key in shown), nl=False)


def _described(key: PublicKey) -> dict[str, str]:
    return {"key": key.id, "fingerprint": key.fingerprint, "pem": key.pem}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", hint="Check its name.") from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}", hint="Name another file.") from None


def _show(envelope: Envelope) -> None:
    certificate = envelope.document
    console.print(Text(f"{certificate.number}: {certificate.outcome.replace('_', ' ')}", style="bold"))
    facts = Table(box=None, show_header=False)
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")  # hashes are compared whole
    for what, value in _facts(certificate):
        facts.add_row(Text(what, style="dim"), Text(value))
    facts.add_row(Text("signed", style="dim"), Text(f"key {envelope.signature.key} (not checked: see `verify`)"))
    console.print(facts)
    stores = Table("where", "what", "action", "planned", "done", "left", "versions", box=None, header_style="bold")
    stores.columns[1].overflow = "fold"
    for column in stores.columns[3:]:
        column.justify = "right"
    for store in certificate.stores:
        counts = (store.expected, store.actual, store.residual, store.versions_removed)
        what = f"{store.system}.{store.locator}"
        stores.add_row(store.tier, Text(what), store.action, *(f"{count:,}" for count in counts))
    console.print(stores)
    for kept in certificate.kept:
        what = (
            f"kept  {kept.system}.{kept.table}: {counted(kept.rows, 'row')}, {kept.basis}; review on {kept.review_on}"
        )
        console.print(Text(what), soft_wrap=True)
    for item in certificate.out_of_scope:
        console.print(Text(f"out of scope  {item}"), soft_wrap=True)


def _facts(certificate: Certificate) -> list[tuple[str, Any]]:
    request, plan, verification = certificate.request, certificate.plan, certificate.verification
    backups = certificate.backups
    looked = sum(check.looked_at for check in verification.checks)
    return [
        ("issued", f"{certificate.issued_at:%Y-%m-%d %H:%M:%S} UTC by {certificate.issuer}"),
        ("request", f"{request.number} of {request.received_at:%Y-%m-%d}, due {request.due} ({request.law})"),
        ("request hash", request.hash),
        ("plan hash", plan.hash),
        ("policy version", plan.policy_version),
        ("asked for by", request.requester),
        ("approved by", f"{request.approver} on {request.approved_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("verified by", f"{verification.verifier}: {looked:,} looked at, nothing found"),
        ("backups", f"expire on {backups.expire_on}: {backups.how}" if backups else "none"),
    ]
