"""HTTP requests to witnesses and mirrored logs: http and https only, sizes capped, one time limit."""

import urllib.error
import urllib.request
import zlib
from urllib.parse import urlsplit

from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _

TIMEOUT_S = 10.0
MISSING = (401, 403, 404, 410)
"""Statuses of what is not there for us; any other failure may pass."""


def is_url(text: str) -> bool:
    """Whether a person named an address rather than a path."""
    return urlsplit(text).scheme in ("http", "https")


def get(url: str, *, size_max: int) -> bytes:
    """The body of a good answer, unpacked if it travels as gzip.

    FormatError "missing", "refused", "too-large" or "malformed"; OSError when nobody answers.
    """
    status, data, encoding = _send(url, None, size_max)
    if status != 200:
        raise FormatError("missing" if status in MISSING else "refused", f"{url} answers {status}")
    if encoding == "gzip":
        data = _unpack(data, size_max)
    if len(data) > size_max:
        raise FormatError("too-large", f"{url}: more than {size_max} bytes")
    return data


def post(url: str, body: bytes, *, size_max: int) -> tuple[int, str]:
    """Status and text of the answer, whatever it is. OSError when nobody answers."""
    status, data, _encoding = _send(url, body, size_max)
    if len(data) > size_max:
        raise FormatError("too-large", f"{url}: more than {size_max} bytes")
    try:
        return status, data.decode()
    except UnicodeDecodeError as error:
        raise FormatError("malformed", f"{url}: the answer is not UTF-8") from error


def _send(url: str, body: bytes | None, size_max: int) -> tuple[int, bytes, str]:
    if not is_url(url):
        raise UserError(_("not an address of the web"), where=url, to_do=_("write http://… or https://…"))
    method = "GET" if body is None else "POST"
    headers = {"Accept-Encoding": "gzip"} if body is None else {"Content-Type": "text/plain; charset=utf-8"}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - checked above
            return answer.status, answer.read(size_max + 1), answer.headers.get("Content-Encoding", "")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(size_max + 1), ""


def _unpack(data: bytes, size_max: int) -> bytes:
    """At most `size_max + 1` bytes: a small answer must not become a large memory."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        return unpacker.decompress(data, size_max + 1)
    except zlib.error as error:
        raise FormatError("malformed", f"not gzip: {error}") from error
