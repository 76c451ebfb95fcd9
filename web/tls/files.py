"""A server's certificate and key as they lie on the disk: read, judged, and turned into what a socket needs."""

import ssl
import warnings
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from commonwatt.errors import UserError
from commonwatt.i18n import _


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with those that stand behind it, and its key; `read` has judged them."""

    chain: list[x509.Certificate]
    context: ssl.SSLContext

    @property
    def ends(self) -> datetime:
        """When the first of the chain ends."""
        return min(certificate.not_valid_after_utc for certificate in self.chain)

    def is_known_to(self, authorities: list[x509.Certificate], *, at: datetime) -> bool:
        """Whether browsers that trust these, and no others, believe it: for HSTS, which nobody can take back."""
        leaf, *between = self.chain
        try:
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            name = x509.DNSName(names.get_values_for_type(x509.DNSName)[0].replace("*", "any", 1))
            verifier = PolicyBuilder().store(Store(authorities)).time(at).build_server_verifier(name)
            verifier.verify(leaf, between)
        except (x509.ExtensionNotFound, IndexError, ValueError, VerificationError):
            return False
        return True


def read(cert_file: Path, key_file: Path, *, at: datetime) -> Pair:
    """UserError says which file is missing, is something else, does not fit the other, or is out of date."""
    chain, key = _chain(cert_file), _key(key_file)
    if _public(key) != chain[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise UserError(
            _("this key is not the one of the certificate in {file}").format(file=cert_file),
            where=key_file,
            to_do=_("the server's own certificate comes first in its file; take the key that was made with it"),
        )
    for certificate in chain:
        _check_dates(certificate, cert_file, at)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert_file, key_file)
    except (ssl.SSLError, OSError) as error:
        raise UserError(
            _("TLS does not take this certificate: {error}").format(error=error), where=cert_file
        ) from error
    return Pair(chain, context)


def authorities_of_system() -> list[x509.Certificate]:
    """Whom this machine trusts, as browsers do about; none where it has no such file."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of old ones that break today's rules: no chain is built to those
        for data in ssl.create_default_context().get_ca_certs(binary_form=True):
            with suppress(ValueError, UserWarning):
                found.append(x509.load_der_x509_certificate(data))
    return found


def _chain(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_bytes(path))
    except ValueError as error:
        raise UserError(
            _("there is no certificate in this file"), where=path, to_do=_("name the PEM file with the whole chain")
        ) from error


def _key(path: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(_bytes(path), password=None)
    except TypeError as error:
        raise UserError(
            _("this key is locked by a password, and nobody is there to type it"),
            where=path,
            to_do=_("unlock it: openssl pkey -in LOCKED -out KEY; then chmod 600 KEY"),
        ) from error
    except ValueError as error:
        raise UserError(
            _("there is no key in this file"), where=path, to_do=_("name the PEM file of the certificate's key")
        ) from error


def _public(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            _("cannot be read: {error}").format(error=error.strerror),
            where=path,
            to_do=_("name a file that is there and that this user may read"),
        ) from error


def _check_dates(certificate: x509.Certificate, path: Path, at: datetime) -> None:
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if at > last:
        what = _("the certificate of {name} ended on {day}").format(name=_name(certificate), day=f"{last:%Y-%m-%d}")
        raise UserError(what, where=path, to_do=_("renew it; browsers refuse it"))
    if at < first:
        what = _("the certificate of {name} begins on {day} only").format(
            name=_name(certificate), day=f"{first:%Y-%m-%d}"
        )
        raise UserError(what, where=path, to_do=_("set this machine's clock, or wait"))


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or f"{certificate.serial_number:x}"
