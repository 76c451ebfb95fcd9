"""A commune's own certificate authority, and the certificates of its brokers and of who connects to them.

X.509 with ECDSA on P-256, which every TLS stack of ours reads, MicroPython's mbedTLS too; RFC 5280 says the rest.
Whoever has the authority's key can stand in for the broker: keep it where the accounts are made, not on the broker.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from commonwatt.certificates import builder, general_name, usage
from commonwatt.errors import UserError
from commonwatt.i18n import _

AUTHORITY_DAYS = 7_300
"""Twenty years: devices in fuse boxes know this certificate and no other."""
CERTIFICATE_DAYS = 1_100
"""Three years: made anew by running broker-config again."""
RENEW_DAYS = 365
"""A certificate that ends sooner than this is made anew, so that running broker-config once a year is enough."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both as PEM."""

    certificate: bytes
    key: bytes

    @property
    def x509(self) -> x509.Certificate:
        """The certificate, parsed."""
        return x509.load_pem_x509_certificate(self.certificate)


class Authority:
    """Signs certificates. `now`: an aware datetime, from the clock of whoever makes them."""

    def __init__(self, pair: Pair, now: datetime.datetime) -> None:
        self.pair = pair
        self._certificate = pair.x509
        self._key = _read_key(pair.key)
        self._now = now

    @classmethod
    def make(cls, name: str, now: datetime.datetime) -> "Authority":
        """A new authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        certificate = (
            builder(subject, subject, key, now, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(is_ca=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(_pair(certificate, key), now)

    def for_server(self, names: Sequence[str]) -> Pair:
        """A broker's certificate under these host names or addresses."""
        alternatives = x509.SubjectAlternativeName([general_name(name) for name in names])
        return self._certify(names[0], ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def for_client(self, name: str) -> Pair:
        """The certificate of who connects as `name`."""
        return self._certify(name, ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def is_ours_for(self, pair: Pair, names: Sequence[str]) -> bool:
        """Whether a certificate is signed by us, under exactly these names, and good for another year."""
        certificate = pair.x509
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return names_of(certificate) == list(names) and self._lasts(certificate)

    def _lasts(self, certificate: x509.Certificate) -> bool:
        return certificate.not_valid_after_utc - self._now > datetime.timedelta(days=RENEW_DAYS)

    def _certify(self, name: str, purpose: x509.ObjectIdentifier, names: x509.SubjectAlternativeName | None) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            builder(_name(name), self._certificate.subject, key, self._now, CERTIFICATE_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage(is_ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if names is not None:
            made = made.add_extension(names, critical=False)
        return _pair(made.sign(self._key, hashes.SHA256()), key)


def names_of(certificate: x509.Certificate) -> list[str]:
    """Host names and addresses of a server's certificate, the common name of a client's."""
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return [str(alternative.value) for alternative in alternatives]


def read_pair(certificate: Path, key: Path) -> Pair | None:
    """The pair of two files, None if there is none; UserError if they are not what they should be."""
    if not certificate.exists() and not key.exists():
        return None
    try:
        pair = Pair(certificate.read_bytes(), key.read_bytes())
        if pair.x509.public_key() != _read_key(pair.key).public_key():
            raise ValueError(_("certificate and key do not belong together"))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            _("cannot be used: {error}").format(error=error),
            where=certificate,
            to_do=_("put certificate and key back from your copy, or move both away to have them made anew"),
        ) from error
    return pair


def _read_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(_("not an elliptic curve's key"))
    return key


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(certificate.public_bytes(pem), private)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])
