"""The papers of declared values: what was said of them and the files attached, kept on the private side by hash.

    DIR/papers/<digest>.json        {"salt": …, "text": …, "files": {"photo.jpg": <SHA-256>}}
    DIR/papers/<SHA-256>            each file, as it was handed in

The statement in the log has the digest only: SHA-256 over the salt and the JSON without it.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from commonwatt import files
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.settings import Settings

FOLDER = "papers"
SALT_SIZE = 32
FILE_SIZE_MAX = 20 * 1024 * 1024
"""A photograph or a scanned page, not a film."""


@dataclass(frozen=True, slots=True)
class Papers:
    """What stands behind a value: words, and files by name with their SHA-256."""

    text: str
    files: dict[str, str]


def keep(directory: Path, text: str, attachments: Sequence[Path]) -> bytes:
    """Keep words and files, durable and readable by us alone; their digest. UserError for a file that cannot be."""
    return keep_data(directory, text, {path.name: _read(path) for path in attachments})


def keep_data(directory: Path, text: str, attached: Mapping[str, bytes]) -> bytes:
    """The same of files that lie nowhere yet, by the names that they are to have."""
    folder = directory / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    names = {}
    for name, data in attached.items():
        names[name] = hashlib.sha256(data).hexdigest()
        files.replace(folder / names[name], data, mode=0o600)
    salt = secrets.token_bytes(SALT_SIZE)
    content = {"text": text, "files": names}
    digest = hashlib.sha256(salt + _spell(content)).digest()
    files.replace(folder / f"{digest.hex()}.json", _spell(content | {"salt": salt.hex()}), mode=0o600)
    return digest


def read(directory: Path, digest: bytes) -> Papers | None:
    """What a digest stands for, if it is kept here and was not changed: words and files are hashed again."""
    folder = directory / FOLDER
    try:
        found = parse((folder / f"{digest.hex()}.json").read_bytes(), digest)
        for sha256 in found.files.values() if found else ():
            if hashlib.sha256((folder / sha256).read_bytes()).hexdigest() != sha256:
                return None
    except OSError:
        return None
    return found


def parse(data: bytes, digest: bytes) -> Papers | None:
    """The papers whose JSON this is, if the digest is theirs."""
    try:
        content = _Content.model_validate_json(data, strict=True)
        salt = bytes.fromhex(content.salt)
    except ValueError:
        return None
    papers = Papers(content.text, content.files)
    same = hashlib.sha256(salt + _spell({"text": papers.text, "files": papers.files})).digest() == digest
    return papers if same else None


class _Content(Settings):
    salt: str
    text: str
    files: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(_("cannot be read: {error}").format(error=error.strerror), where=path) from error
    if len(data) > FILE_SIZE_MAX:
        raise UserError(
            _("has more than {size} MiB").format(size=FILE_SIZE_MAX // 2**20),
            where=path,
            to_do=_("attach a smaller picture"),
        )
    return data


def _spell(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
