"""TLS to the gateway's broker with the commune's own certificate authority: nobody else's word counts.

`broker.tls` of the configuration: {"ca": path of a PEM file}. Who we are the broker knows by user name and password.
No client certificate is offered.

A device without a clock cannot judge a certificate's dates, and MicroPython's mbedTLS does not: the authority is the
commune's, so an old certificate is withdrawn by making new ones. docs/operating/firmware.md.
"""

import ssl
from binascii import a2b_base64

_BEGIN = "-----BEGIN "
_END = "-----END "


def context(config):
    """An SSLContext that demands a certificate of `ca` with the host's name; OSError or ValueError: bad files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED  # MicroPython's default is to believe anyone
    context.load_verify_locations(cadata=der(_read(config["ca"])))
    return context


def der(text):
    """The first object of a PEM text as DER, which every mbedTLS build reads; ValueError if there is none."""
    lines = [line.strip() for line in text.split("\n")]
    begins = [at for at, line in enumerate(lines) if line.startswith(_BEGIN)]
    ends = [at for at, line in enumerate(lines) if line.startswith(_END)]
    if not begins or not ends or ends[0] < begins[0]:
        raise ValueError("not a PEM file")
    data = a2b_base64("".join(lines[begins[0] + 1 : ends[0]]))
    if not data:
        raise ValueError("an empty PEM file")
    return data


def is_tls_error(error):
    """Whether the connection ended over TLS rather than over the network below it."""
    if _SSLError:
        return isinstance(error, _SSLError)
    # MicroPython: a ValueError tells what is wrong with a certificate, an OSError below all others the rest.
    number = error.args[0] if error.args else 0
    return isinstance(error, ValueError) or (isinstance(number, int) and number < _MBEDTLS_BELOW)


def _read(path):
    with open(path) as file:
        return file.read()


# mbedTLS' own numbers are at -0x1000 and below; getaddrinfo's negative ones are above -256.
_MBEDTLS_BELOW = -256
_SSLError = getattr(ssl, "SSLError", None)
