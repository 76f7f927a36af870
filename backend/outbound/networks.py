"""Which IP addresses may be connected to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

IpAddress = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_TRANSLATED: Final = IPv6Network("::ffff:0:0:0/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
_NEVER: Final = tuple(
    ip_network(network)
    # Python's own table has been wrong about some of these (CVE-2024-4032), and older versions don't know others.
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be connected to: the public internet, and the networks that whoever runs this server trusts."""

    trusted: Sequence[Network] = ()

    def allows(self, address: IpAddress) -> bool:
        """Whether every address that ``address`` stands for may be connected to."""
        return all(self._is_trusted(end) or _is_public(end) for end in ends(address))

    def _is_trusted(self, address: IpAddress) -> bool:
        return any(address.version == network.version and address in network for network in self.trusted)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks between commas, such as ``10.0.0.0/8,fd00::/8``. Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def ends(address: IpAddress) -> Iterator[IpAddress]:
    """The addresses that packets to ``address`` may end at: itself, or the IPv4 ones that are wrapped in it."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.scope_id is not None:
        address = IPv6Address(int(address))
    wrapped = _wrapped(address)
    yield from wrapped or (address,)


def _wrapped(address: IPv6Address) -> tuple[IPv4Address, ...]:
    number = int(address)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    is_plain = address in _NAT64 or address in _TRANSLATED or (address in _COMPATIBLE and number > 1)
    return (IPv4Address(number & 0xFFFFFFFF),) if is_plain or (number >> 32) & 0xFFFFFFFF in _ISATAP else ()


def _is_public(address: IpAddress) -> bool:
    if any(address.version == network.version and address in network for network in _NEVER):
        return False
    return address.is_global and not address.is_multicast
