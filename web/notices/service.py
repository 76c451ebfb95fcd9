"""The push services of browsers' makers: what we sign as (VAPID, RFC 8292), whom we may reach, and one message to one
of them, encrypted for the browser alone (RFC 8291).

Endpoints come from browsers, so from anybody: only hosts that are known to be such services are ever asked.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02
from pywebpush import WebPushException, webpush

from commonwatt.errors import StorageError
from commonwatt.i18n import _
from web.notices.choices import Device
from web.spelling import base64url

KEY_FILE = "web-push.pem"
ANSWER_S_MAX = 10.0
ENDPOINT_CHARS_MAX = 1000
GONE = (404, 410)
"""The browser has unsubscribed, or was thrown away."""
LATER = (429,)


class NotTaken(Exception):  # noqa: N818 it is an outcome
    """`is_gone`: this browser will never be reached again; `is_final`: this message will not be taken."""

    def __init__(self, why: str, *, is_gone: bool = False, is_final: bool = False) -> None:
        self.is_gone, self.is_final = is_gone, is_final
        super().__init__(why)


class PushService:
    """`hosts`: whom we may reach: a host, or ".example" for every host below it. `contact`: who is written to when we
    misbehave. `schemes`: https alone; a test's own service speaks http."""

    def __init__(
        self, directory: Path, *, hosts: Sequence[str], contact: str, schemes: Sequence[str] = ("https",)
    ) -> None:
        self._hosts, self._contact, self._schemes = tuple(hosts), contact, tuple(schemes)
        self._vapid = _key(directory / KEY_FILE)

    @property
    def public_key(self) -> str:
        """What browsers are told: messages signed by this key are ours."""
        point = self._vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return base64url(point)

    def may_reach(self, endpoint: str) -> bool:
        """Whether it is an address of a service that we know."""
        try:
            parts = urlsplit(endpoint)
            host = parts.hostname or ""
        except ValueError:
            return False
        is_known = any(host == known or (known.startswith(".") and host.endswith(known)) for known in self._hosts)
        return len(endpoint) <= ENDPOINT_CHARS_MAX and parts.scheme in self._schemes and is_known

    def send(self, device: Device, payload: str, *, for_s: int) -> None:
        """One message, good for `for_s` more seconds. NotTaken if the service does not take it."""
        if not self.may_reach(device.endpoint):
            raise NotTaken("not a push service that we know", is_gone=True)
        subscription = {"endpoint": device.endpoint, "keys": {"p256dh": device.p256dh, "auth": device.auth}}
        claims = {"sub": self._contact}
        try:
            webpush(
                subscription,
                payload,
                vapid_private_key=self._vapid,
                vapid_claims=claims,
                ttl=for_s,
                timeout=ANSWER_S_MAX,
            )
        except WebPushException as error:
            status = error.response.status_code if error.response is not None else 0
            is_final = 400 <= status < 500 and status not in LATER
            raise NotTaken(f"answered {status}", is_gone=status in GONE, is_final=is_final) from error
        except requests.RequestException as error:
            raise NotTaken(type(error).__name__) from error
        except (ValueError, TypeError, KeyError) as error:
            raise NotTaken(f"the browser's keys cannot be used: {type(error).__name__}", is_gone=True) from error


def payload_of(*, title: str, body: str, path: str, tag: str, language: str) -> str:
    """What the service worker shows. `tag`: a later notice of the same tag takes this one's place."""
    return json.dumps({"title": title, "body": body, "path": path, "tag": tag, "lang": language}, ensure_ascii=False)


def _key(path: Path) -> Vapid02:
    """Made the first time. A new one would make every subscription worthless: it is part of the backup."""
    try:
        if path.exists():
            return Vapid02.from_file(str(path))
        made = Vapid02()
        made.generate_keys()
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        path.write_bytes(made.private_pem())
    except (OSError, ValueError) as error:
        raise StorageError(
            _("the key for notices cannot be used: {error}").format(error=error),
            where=path,
            to_do=_("put the backup of this file back, or remove it: then people subscribe again"),
        ) from error
    return made
