"""What our certificate authorities have in common: X.509 with ECDSA on P-256 (RFC 5280). Needs `cryptography`."""

import ipaddress
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

BACKDATED = timedelta(days=1)
"""How far before its making a certificate begins: clocks differ."""


def builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, at: datetime, days: int
) -> x509.CertificateBuilder:
    """A certificate of a key, good for `days` from `at` (aware), to be extended and signed."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - BACKDATED)
        .not_valid_after(at + timedelta(days=days))
    )


def usage(*, is_ca: bool) -> x509.KeyUsage:
    """An authority signs certificates, everybody else handshakes; nobody does anything further."""
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def general_name(host: str) -> x509.DNSName | x509.IPAddress:
    """A host's name or address, as certificates hold it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
