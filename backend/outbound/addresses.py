"""One parser for addresses: what it reads is what is checked, dialled and sent, so that no two readings differ."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, unquote, urljoin

import idna

from backend.outbound.errors import odd

MAX_ADDRESS: Final = 8_192
_FORM: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<authority>[^/?#]*)"
    r"(?P<target>(?:/[^?#]*)?(?:\?[^#]*)?)"
    r"(?:#.*)?"
)
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_OTHER_DOTS: Final = frozenset("\u3002\uff0e\uff61")
_PORTS: Final = {"http": 80, "https": 443}
# Everything that means something in a path or query stays as it is; the rest is written as its UTF-8 bytes.
_KEPT: Final = "%/?:@!$&'()*+,;=-._~"


@dataclass(frozen=True, slots=True)
class Address:
    """An address in its parts.

    Attributes:
        host: a name in ASCII and lower case, or an IP address without brackets.
        target: path and query, as they are sent.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def name(self) -> str:
        """The last part of the path, readable; empty where it ends in a slash."""
        return unquote(self.target.partition("?")[0].rpartition("/")[2], errors="replace")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    def joined(self, location: str) -> "Address":
        """Where a redirect from here leads. Raises Unfetched: it can't be used."""
        # The next address is parsed as strictly as the first, so joining only has to complete relative ones.
        _check_signs(location)
        try:
            joined = urljoin(str(self), location)
        except ValueError:
            raise odd("it leads on to an address that can't be read") from None
        return parse(joined)


def parse(text: str) -> Address:
    """Read an address. Raises Unfetched: it can't be used, or could be read in two ways."""
    text = text.strip(" \t\r\n")
    _check_signs(text)
    if len(text) > MAX_ADDRESS:
        raise odd("it is too long")
    found = _FORM.fullmatch(text)
    if found is None:
        raise odd("it must begin with http:// or https://")
    scheme = found["scheme"].lower()
    if scheme not in _PORTS:
        raise odd("it must begin with http:// or https://")
    if "@" in found["authority"]:
        raise odd("it contains a user name or an @ before the path")
    host, port = _host_and_port(found["authority"], _PORTS[scheme])
    target = quote(found["target"], safe=_KEPT)
    if not target.startswith("/"):
        target = f"/{target}"
    return Address("https" if scheme == "https" else "http", host, port, target)


def _check_signs(text: str) -> None:
    if "\\" in text:
        raise odd("it contains a backslash")
    if any(sign.isspace() or not sign.isprintable() for sign in text):
        raise odd("it contains a space or an invisible character")


def _host_and_port(authority: str, default: int) -> tuple[str, int]:
    found = _HOST.fullmatch(authority)
    if found is None:
        raise odd("its server's name can't be read")
    port = int(found["port"] or default)
    if not 0 < port < 65536:
        raise odd("its port isn't one")
    return _host(found["host"].lower()), port


def _host(host: str) -> str:
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise odd("its server's number isn't one") from None
    if not _OTHER_DOTS.isdisjoint(host):
        raise odd("its server's name has a dot that isn't one")
    if not host.isascii():
        try:
            host = idna.encode(host).decode("ascii")
        except idna.IDNAError:
            raise odd("its server's name has letters that can't be used") from None
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # Systems read 127.1, 2130706433 and 0x7f000001 as addresses too: only the usual form is taken.
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise odd("its server's number isn't written as four numbers with dots") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise odd("its server's name can't be read")
    return host
