"""What a column or a table probably is, guessed from names and types, for a draft that a person reviews.

Pure, and never decisive: a guess is written as a comment beside ``unreviewed``. What does not belong here: anything
that masks, erases or tiers by a guess.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import cast

from warehouse.catalog.model import PersonalKind
from warehouse.catalog.periods import Period
from warehouse.postgres.bounds import Span
from warehouse.postgres.introspection import LiveColumn

#: Words of a column's name (accents removed, split at underscores and capitals), by kind; the first match wins. A
#: phrase of several words stands with underscores. English, German, French, Spanish, Portuguese, Italian, Dutch,
#: Hindi in Latin letters.
_WORDS: Mapping[str, str] = {
    "credential": "password passwd pwd passwort kennwort contrasena senha mdp secret token api_key otp pin salt hash_pw"
    " password_hash session_key refresh_token mot_de_passe",
    "email": "email e_mail mail correo courriel emailaddress",
    "phone": "phone mobile telephone tel telefon handy telefono celular movil telefone telefoon msisdn fax whatsapp"
    " mobil cell mobiltelefon phonenumber",
    "government_id": "ssn pan aadhaar aadhar passport passport_no pesel cpf cnpj nif nie dni curp bsn nino sin"
    " tax_id vat_id tin steuernummer steuer_id sozialversicherungsnummer ausweis ausweisnummer licence_no"
    " license_no license_number licence_number driving_licence drivers_license national_id voter_id gstin"
    " codice_fiscale passeport pasaporte kyc",
    "vehicle_id": "vin chassis chassis_no plate license_plate licence_plate number_plate registration_no kennzeichen"
    " immatriculation matricula placa vehicle_number rc_number frame_serial frame_number",
    "bank_account": "iban bic swift account_number account_no bank_account card_number credit_card ifsc sort_code"
    " routing_number kontonummer upi upi_id vpa pix_key clabe",
    "birth_date": "dob birth birthday birthdate birth_date date_of_birth geburtsdatum geburtstag naissance nacimiento"
    " nascimento nascita geboortedatum born birth_year",
    "health": "health blood blood_group diagnosis disability weight height heart_rate allergy allergies medication"
    " medical gesundheit gewicht",
    "ip": "ip ip_address ip_addr ipaddr remote_addr client_ip last_login_ip ipv4 ipv6",
    "device": "device device_id user_agent useragent imei idfa gaid mac mac_address fingerprint push_token browser",
    "location": "lat latitude lon lng long longitude location geo geohash coordinates coords position standort"
    " ubicacion gps",
    "address": "address addr street street1 street2 zip zipcode zip_code postcode postal_code plz strasse hausnummer"
    " adresse direccion endereco indirizzo adres city town ort stadt ville ciudad cidade pincode wohnort line1 line2",
    "name": "firstname lastname fullname first_name last_name full_name display_name surname forename given_name"
    " family_name middle_name maiden_name vorname nachname prenom apellido apellidos nombre nome sobrenome cognome"
    " achternaam voornaam father_name mother_name contact_name legal_name real_name recipient",
    "username": "username user_name login handle nickname nick screen_name benutzername pseudo usuario",
    "photo": "photo avatar selfie picture image portrait foto bild imagen profile_image signature",
    "free_text": "comment comments note notes message body bio about remark remarks description feedback review_text"
    " bemerkung notiz nachricht kommentar mensaje mensagem comentario commentaire text content details reason",
    "profile": "gender sex geschlecht sexe genero nationality religion ethnicity marital_status salary income language"
    " preferences",
}
_KINDS: tuple[tuple[PersonalKind, tuple[str, ...]], ...] = tuple(
    (cast("PersonalKind", kind), tuple(words.split())) for kind, words in _WORDS.items()
)
_PERSONS = frozenset(
    [
        *("user", "customer", "rider", "member", "account", "people", "person", "client", "patient", "employee"),
        *("student", "driver", "subscriber", "contact", "profile", "player", "guest", "passenger", "citizen"),
        *("participant", "kunde", "kunden", "benutzer", "nutzer", "mitglied", "mitglieder", "personen", "utilisateur"),
        *("personne", "usuario", "cliente", "persona", "pessoa", "utente", "utenti", "clienti", "klant", "gebruiker"),
    ]
)
#: Where a bare ``name`` is a person's.
_NAMED = _PERSONS | {"staff", "vendor", "author", "recipient", "courier", "agent", "doctor", "teacher", "seller"}
_CHANGED = (
    *("updated_at", "modified_at", "last_modified", "updated_on", "modified_on", "updated", "modified", "changed_at"),
    *("last_updated", "last_updated_at", "update_time", "modify_date", "date_modified", "geaendert_am"),
)
_HAPPENED = (
    *("created_at", "occurred_at", "recorded_at", "happened_at", "event_time", "created_on", "created", "timestamp"),
    *("logged_at", "inserted_at", "date_created", "event_at", "at", "ts"),
)
_TIME = re.compile(r"timestamp(\(\d\))? with(out)? time zone")


def words(name: str) -> str:
    """A name as plain lower-case words between underscores: ``eMailAddress`` -> ``e_mail_address``."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name.replace("ß", "ss")) if not unicodedata.combining(c))
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plain)
    return re.sub(r"[\W_]+", "_", spaced).strip("_").lower()


def personal_kind(table: str, column: LiveColumn) -> PersonalKind | None:
    """The kind of personal data the column may hold, or None where nothing speaks for any."""
    name, kind = f"_{words(column.name)}_", column.type
    if kind.element in ("boolean", "interval") or kind.family == "enum":
        return None
    if kind.element == "inet":
        return "ip"
    if kind.element.startswith("macaddr"):
        return "device"
    for guess, phrases in _KINDS:
        if any(f"_{phrase}_" in name for phrase in phrases) and _may_be(guess, name, column):
            return guess
    if kind.element in ("point", "box", "circle", "polygon", "path", "lseg"):
        return "location"
    return "name" if name == "_name_" and is_person_table(table, _NAMED) else None


def _may_be(guess: PersonalKind, name: str, column: LiveColumn) -> bool:
    """Whether the type allows the guess: a time is no email, and a number that ends in _id is a reference."""
    if _TIME.fullmatch(column.type.carrier) or column.type.carrier == "date":
        return guess == "birth_date"
    if _is_text(column):
        return True
    if name.endswith("_id_"):
        return guess in ("government_id", "device", "bank_account")
    return guess not in ("free_text", "name", "username", "email")


def is_person_table(table: str, known: frozenset[str] = _PERSONS) -> bool:
    """Whether the table's name says that its rows are persons: ``app_users``, ``Kunden``."""
    last = words(table).rpartition("_")[2]
    return bool({last, last.removesuffix("s"), last.removesuffix("es"), re.sub("ies$", "y", last)} & known)


def change_time(columns: Mapping[str, LiveColumn]) -> str | None:
    """The column that moves with every change of a row: a timestamp that is never NULL and is named for it."""
    return _first(columns, _CHANGED)


def event_time(columns: Mapping[str, LiveColumn]) -> str | None:
    """The column that says when what a row tells of happened."""
    return _first(columns, _HAPPENED)


def range_pattern(table: str, spans: Mapping[str, Span], every: Period) -> str | None:
    """The name pattern that most of the partitions follow, read off the names themselves; None if there is none."""
    votes: dict[str, int] = {}
    for name, span in spans.items():
        if not name.startswith(table) or span.period != every:
            continue
        rest, pattern, start = name.removeprefix(table).replace("{", "{{").replace("}", "}}"), "{table}", span.start
        parts = {"year": f"{start.year:04d}"}
        if every == "quarter" and not re.search(rf"{start.year}\D*{start.month:02d}", rest):
            parts["quarter"] = str((start.month + 2) // 3)
        elif every == "week" and re.search(rf"{start.year}\D*{start.isocalendar().week:02d}$", rest):
            parts["week"] = f"{start.isocalendar().week:02d}"
        elif every != "year":
            parts["month"] = f"{start.month:02d}"
            if every in ("day", "week") or re.search(rf"{start.year}\D*{start.month:02d}\D*01$", rest):
                parts["day"] = f"{start.day:02d}"
        for field, text in parts.items():
            before, found, rest = rest.partition(text)
            if not found:
                break
            pattern += f"{before}{{{field}}}"
        else:
            votes[pattern + rest] = votes.get(pattern + rest, 0) + 1
    return max(votes, key=lambda pattern: votes[pattern], default=None)


def hash_pattern(table: str, remainders: Mapping[str, int]) -> str | None:
    """The name pattern of hash partitions, read off their names; None if there is none."""
    for name, remainder in remainders.items():
        match = re.search(rf"(?<!\d)(0*){remainder}$", name)
        if match is None or not name.startswith(table):
            continue
        padding = f":0{len(match[1]) + len(str(remainder))}d" if match[1] and match[0] != "0" else ""
        middle = name[len(table) : match.start()].replace("{", "{{").replace("}", "}}")
        pattern = f"{{table}}{middle}{{remainder{padding}}}"
        if all(pattern.format(table=table, remainder=each) == other for other, each in remainders.items()):
            return pattern
    return None


def _is_text(column: LiveColumn) -> bool:
    return column.type.type_name in ("text", "varchar", "bpchar", "citext", "json", "jsonb", "xml", "bytea", "name")


def _first(columns: Mapping[str, LiveColumn], names: tuple[str, ...]) -> str | None:
    by_words = {words(name): name for name, column in columns.items()
                if column.not_null and _TIME.fullmatch(column.type.carrier)}  # fmt: skip
    return next((by_words[name] for name in names if name in by_words), None)
