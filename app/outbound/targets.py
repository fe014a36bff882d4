"""Targets of outbound calls: which URLs are well formed, and which addresses may be called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from app.domain.errors import InvalidInputError

_LONGEST_URL = 2048

_DEFAULT_PORTS = {"http": 80, "https": 443}

#: The only addresses of IPv6 that were ever given out for the public internet.
_GLOBAL_UNICAST = IPv6Network("2000::/3")

#: Prefix of IPv4 addresses behind a NAT64 (RFC 6052); Python calls all of it global.
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Target:
    """The parts of a URL that a call needs; `path` has the query with it."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def read_target(url: str) -> Target:
    """Return the parts of a URL that may be called, as far as its form tells.

    Raises:
        InvalidInputError: It is no http or https URL, or has credentials in it; the field is `url`.
    """
    if len(url) > _LONGEST_URL:
        raise InvalidInputError("url", f"must have at most {_LONGEST_URL} characters")
    if re.search(r"[^\x21-\x7e]|\\", url):
        raise InvalidInputError("url", "must be ASCII without spaces; write international names as xn--...")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidInputError("url", "is not a URL") from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise InvalidInputError("url", "must begin with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise InvalidInputError("url", "must not have credentials in it")
    if not parts.hostname or port == 0:
        raise InvalidInputError("url", "must name a host, and a port only if there is one")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme, parts.hostname, port or _DEFAULT_PORTS[scheme], path)


def may_be_called(address: IPv4Address | IPv6Address, *, allow_private: bool) -> bool:
    """Tell whether calls may go to this address.

    Public ones may; `allow_private` adds loopback and private networks. Link-local addresses, where clouds hand out
    credentials, multicast and addresses of no host may never be called.

    >>> may_be_called(IPv6Address("64:ff9b::7f00:1"), allow_private=False)  # 127.0.0.1 behind a NAT64
    False
    """
    if isinstance(address, IPv6Address):
        carried = _carried(address)
        if carried is not None:
            return may_be_called(carried, allow_private=allow_private)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if isinstance(address, IPv4Address):
        return not address.is_reserved and (allow_private or address.is_global)
    if allow_private:
        return True
    # 6to4 and Teredo carry an IPv4 address to wherever a relay takes it; nobody serves there today.
    tunnelled = address.sixtofour is not None or address.teredo is not None
    return address in _GLOBAL_UNICAST and address.is_global and not tunnelled


def _carried(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that this one stands for, if it does."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped
