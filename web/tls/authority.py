"""A local CA in one folder, for machines that no public authority vouches for: a demo, a pilot, a town hall.

    authority.pem   the CA with its key, 0600. Who reads it can pose, to every phone that installed the CA, as any
                    host of a private network, and as the hosts named when it was made: it is constrained to those.
    ca.crt          the CA without its key: what people install
    server.pem      the server's certificate with its key, 0600; made anew thirty days before it ends

Two files that hold everything, each put in place at once: no crash leaves a key beside another key's certificate.
"""

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from commonwatt import files
from commonwatt.certificates import builder, general_name, usage
from commonwatt.errors import StorageError, UserError
from commonwatt.i18n import _

AUTHORITY, PUBLIC, SERVER = "authority.pem", "ca.crt", "server.pem"
CA_DAYS = 730
SERVER_DAYS = 90
RENEW_DAYS = 30

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PRIVATE_NAMES = ("localhost", "local", "home.arpa", "internal", "lan", "home")
PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8")
PRIVATE_NETWORKS_6 = ("fc00::/7", "fe80::/10", "::1/128")
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey

    def pem(self) -> bytes:
        """Both, as a file of ours holds them."""
        secret = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return secret + self.certificate.public_bytes(Encoding.PEM)

    @property
    def hosts(self) -> list[str]:
        """Names and addresses of a server's certificate, in their order."""
        names = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return [str(name.value) for name in names]


@dataclass(frozen=True, slots=True)
class LocalCa:
    """What lies in the folder; `is_new`: whether phones must install the CA (again)."""

    folder: Path
    authority: x509.Certificate
    server: Signed
    is_new: bool

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the CA, as phones show it: AB:CD:…"""
        return self.authority.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def server_file(self) -> Path:
        """The server's certificate and key."""
        return self.folder / SERVER


def ensure(folder: Path, hosts: Sequence[str], *, at: datetime) -> LocalCa:
    """The CA of `folder` and a server's certificate for `hosts` (none: those it has), made anew where there is none,
    it ends within RENEW_DAYS, or it is for other hosts. UserError for what is no host, or none the CA may vouch for,
    and where there is nothing and no host is named; StorageError if the disk fails."""
    authority, server = _read(folder / AUTHORITY), _read(folder / SERVER)
    known = server.hosts if server else []
    if not hosts and not known:
        raise UserError(
            _("there is no local CA here"),
            where=folder,
            to_do=f"commonwatt web ca {folder} --host NAME",
        )
    wanted = list(dict.fromkeys((*map(canonical, hosts or known), *LOOPBACK)))
    is_new = authority is None or _ends_soon(authority, at)
    if authority is None or is_new:
        authority = _make_authority(wanted, at)
        _write(folder / AUTHORITY, authority.pem(), mode=0o600)
    if is_new or not (folder / PUBLIC).exists():
        _write(folder / PUBLIC, authority.certificate.public_bytes(Encoding.PEM), mode=0o644)
    _refuse_others(authority.certificate, wanted, folder)
    if server is None or is_new or known != wanted or _ends_soon(server, at) or not _is_of(authority, server):
        server = _make_server(authority, wanted, at)
        _write(folder / SERVER, server.pem(), mode=0o600)
    return LocalCa(folder, authority.certificate, server, is_new)


def canonical(host: str) -> str:
    """A host in its one spelling: an IP address, or a name in small ASCII letters. UserError if it is neither."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    try:
        name = host.encode("idna").decode().lower().rstrip(".")
    except UnicodeError:
        name = ""
    if not _NAME.fullmatch(name):
        raise UserError(
            _("{host!r} is no name or address of a machine").format(host=host),
            to_do=_("such as town.local or 192.168.1.20"),
        )
    return name


def hosts_of(folder: Path) -> list[str]:
    """For which hosts the certificate of a folder is; none if there is none."""
    server = _read(folder / SERVER)
    return server.hosts if server else []


def _ends_soon(signed: Signed, at: datetime) -> bool:
    return signed.certificate.not_valid_after_utc < at + timedelta(days=RENEW_DAYS)


def _is_of(authority: Signed, server: Signed) -> bool:
    try:
        server.certificate.verify_directly_issued_by(authority.certificate)
    except Exception:  # noqa: BLE001 - cryptography names three kinds; each means: another CA's
        return False
    return True


def _read(path: Path) -> Signed | None:
    """What was made here before; None if nothing was."""
    try:
        data = path.read_bytes()
        key = load_pem_private_key(data, password=None)
        certificate = x509.load_pem_x509_certificate(data)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            _("this is no file of a local CA: {error}").format(error=error),
            where=path,
            to_do=_("name another folder, or remove this one; phones must then install the new CA"),
        ) from error
    assert isinstance(key, EllipticCurvePrivateKey), "made by us"
    return Signed(certificate, key)


def _write(path: Path, data: bytes, *, mode: int) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.replace(path, data, mode=mode)
    except OSError as error:
        raise StorageError(
            _("cannot be written: {error}").format(error=error.strerror), where=path, to_do=_("make room or mend it")
        ) from error


def _make_authority(hosts: Sequence[str], at: datetime) -> Signed:
    key = generate_private_key(SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Commonwatt"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Commonwatt local CA {socket.gethostname()[:32]} {at:%Y-%m-%d}"),
        ]
    )
    made = (
        builder(name, name, key, at, CA_DAYS)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(is_ca=True), critical=True)
        .add_extension(_constraints(hosts), critical=True)
    )
    return Signed(made.sign(key, hashes.SHA256()), key)


def _make_server(authority: Signed, hosts: Sequence[str], at: datetime) -> Signed:
    key, issuer = generate_private_key(SECP256R1()), authority.certificate
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    # No host as the common name: some would hold it to the constraints a second time, as a name even if it is none.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Commonwatt pages")])
    made = (
        builder(name, issuer.subject, key, at, SERVER_DAYS)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(is_ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([general_name(host) for host in hosts]), critical=False)
        .add_extension(issued_by, critical=False)
    )
    return Signed(made.sign(authority.key, hashes.SHA256()), key)


def _constraints(hosts: Sequence[str]) -> x509.NameConstraints:
    """Private networks, whatever address the machine has tomorrow, and what was named."""
    networks = [*PRIVATE_NETWORKS, *PRIVATE_NETWORKS_6]
    general: list[x509.GeneralName] = [x509.DNSName(name) for name in PRIVATE_NAMES]
    general += [x509.IPAddress(ipaddress.ip_network(network)) for network in networks]
    for host in hosts:
        if not _may_vouch(general, host):
            named = general_name(host)
            address = isinstance(named, x509.IPAddress)
            general.append(x509.IPAddress(ipaddress.ip_network(host)) if address else named)
    return x509.NameConstraints(permitted_subtrees=general, excluded_subtrees=None)


def _refuse_others(authority: x509.Certificate, hosts: Sequence[str], folder: Path) -> None:
    allowed = authority.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    for host in hosts:
        if not _may_vouch(list(allowed), host):
            raise UserError(
                _("this CA may not vouch for {host}, which was not named when it was made").format(host=host),
                where=folder,
                to_do=_("remove the folder and make a new CA; every phone must install that one"),
            )


def _may_vouch(permitted: Sequence[x509.GeneralName], host: str) -> bool:
    """Whether a host lies below one of the permitted names or networks (RFC 5280 §4.2.1.10)."""
    named = general_name(host)
    if isinstance(named, x509.IPAddress):
        address = ipaddress.ip_address(host)
        networks = [ipaddress.ip_network(one.value) for one in permitted if isinstance(one, x509.IPAddress)]
        return any(address in network for network in networks)
    return any(isinstance(one, x509.DNSName) and f".{host}".endswith(f".{one.value}") for one in permitted)
