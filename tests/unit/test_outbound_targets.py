from __future__ import annotations

from ipaddress import ip_address

import pytest

from app.domain.errors import InvalidInputError
from app.outbound.targets import Target, may_be_called, read_target

_PUBLIC = ["93.184.215.14", "1.1.1.1", "2606:4700::6810:84e5", "64:ff9b::5db8:d70e", "::ffff:93.184.215.14"]
_PRIVATE = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "192.0.2.1"),
    *("::1", "fd00::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:5db8:d70e::", "2001:0:5db8:d70e::1", "::7f00:1"),
]
_NEVER = [
    *("0.0.0.0", "169.254.169.254", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "fe80::1", "ff02::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1%eth0"),
]


@pytest.mark.parametrize("address", _PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    assert may_be_called(ip_address(address), allow_private=False)


@pytest.mark.parametrize("address", _PRIVATE)
def test_private_addresses_may_be_called_only_when_allowed(address: str) -> None:
    assert not may_be_called(ip_address(address), allow_private=False)
    assert may_be_called(ip_address(address), allow_private=True)


@pytest.mark.parametrize("address", _NEVER)
def test_some_addresses_may_never_be_called(address: str) -> None:
    assert not may_be_called(ip_address(address), allow_private=False)
    assert not may_be_called(ip_address(address), allow_private=True)


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("http://agent.example", Target("http", "agent.example", 80, "/"), "agent.example"),
        ("HTTPS://Agent.Example/v1?a=b#c", Target("https", "agent.example", 443, "/v1?a=b"), "agent.example"),
        ("https://agent.example:8443?x", Target("https", "agent.example", 8443, "/?x"), "agent.example:8443"),
        ("http://[::1]:8080/", Target("http", "::1", 8080, "/"), "[::1]:8080"),
    ],
)
def test_urls_are_read(url: str, target: Target, authority: str) -> None:
    assert read_target(url) == target
    assert target.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="empty"),
        pytest.param("agent.example/path", id="no-scheme"),
        pytest.param("ftp://agent.example/", id="ftp"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("http://", id="no-host"),
        pytest.param("http:///path", id="no-host-but-path"),
        pytest.param("http://user@agent.example/", id="user"),
        pytest.param("http://user:password@agent.example/", id="password"),
        pytest.param("http://@agent.example/", id="empty-user"),
        pytest.param("http://agent.example:0/", id="port-zero"),
        pytest.param("http://agent.example:99999/", id="port-too-high"),
        pytest.param("http://agent.example:x/", id="port-no-number"),
        pytest.param("http://agent.example\\@127.0.0.1/", id="backslash"),
        pytest.param("http://agent.example/a b", id="space"),
        pytest.param("http://agent.example/\r\nX: y", id="line-break"),
        pytest.param("http://agënt.example/", id="not-ascii"),
        pytest.param("http://[::1/", id="open-bracket"),
        pytest.param("http://agent.example/" + "x" * 2048, id="too-long"),
    ],
)
def test_urls_that_may_not_be_called_are_refused(url: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        read_target(url)
    assert refusal.value.field == "url"
