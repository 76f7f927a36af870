from ipaddress import ip_address

import pytest

from backend.outbound.networks import Reach, parse_networks


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.8",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "2001:0:7f00:1::f7f7:f7f7",
        "2001:db8::1",
        "2606:4700::5efe:10.0.0.1",
    ],
)
def test_s01_what_only_this_server_could_reach_is_not_allowed(text: str) -> None:
    assert not Reach().allows(ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_the_public_internet_is_allowed(text: str) -> None:
    assert Reach().allows(ip_address(text))


def test_a_trusted_network_is_allowed_and_its_neighbours_are_not() -> None:
    reach = Reach(parse_networks("10.20.0.0/16, fd12::/16"))

    assert reach.allows(ip_address("10.20.3.4"))
    assert reach.allows(ip_address("::ffff:10.20.3.4"))
    assert reach.allows(ip_address("fd12::1"))
    assert not reach.allows(ip_address("10.21.0.1"))
    assert not reach.allows(ip_address("127.0.0.1"))
