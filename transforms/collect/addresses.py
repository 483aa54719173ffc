"""Which addresses may be connected to, checked on the very address that is connected to.

A name is resolved once and the socket is opened to one of those addresses, so a name that
resolves to another address a moment later (DNS rebinding) gains nothing. The name itself is kept
for the Host header and for TLS.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], list[str]]

# NAT64 (RFC 6052): the last 32 bits are an IPv4 address that a gateway connects to.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# All of the public Internet in IPv6 lies in here.
_GLOBAL = ipaddress.IPv6Network("2000::/3")
# What ipaddress calls global or not by its version: of protocols, for documentation, and those of
# 6to4, which lead to IPv4 addresses by relays that nobody runs any more (RFC 7526).
_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("192.0.0.0/24", "192.88.99.0/24"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)


class AddressError(Exception):
    """A host whose addresses may not be connected to."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the public Internet, on every version of Python alike."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _GLOBAL:
            return False
    special = address.is_multicast or any(address in network for network in _SPECIAL)
    return address.is_global and not special


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system's resolver orders them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def connect(
    host: str,
    port: int,
    timeout_s: float,
    allow_private: bool = False,
    resolver: Resolver = resolve,
    allowed: Callable[[Address], bool] = is_public,
) -> socket.socket:
    """Opens a socket to a host that may be connected to.

    Args:
        host: Name or address.
        port: Port.
        timeout_s: For each address that is tried, and for later reads.
        allow_private: Any address may be connected to.
        resolver: Gives the addresses of a host.
        allowed: Which addresses are public.

    Raises:
        AddressError: The host has no address, or none that may be connected to.
        OSError: No connection.
    """
    try:
        addresses = resolver(host, port)
    except (OSError, UnicodeError) as error:
        raise OSError(f"the host {host} is not known") from error
    problem: OSError | None = None
    refused = []
    for text in addresses:
        address = ipaddress.ip_address(text.partition("%")[0])
        if not allow_private and not allowed(address):
            refused.append(str(address))
            continue
        try:
            return socket.create_connection((text, port), timeout_s)
        except OSError as error:
            problem = error
    if problem is not None:
        raise problem
    if refused:
        raise AddressError(
            f"{host} leads to {', '.join(refused[:3])}, which is not an address of the public "
            "Internet"
        )
    raise OSError(f"the host {host} has no address")


class PinnedAdapter(HTTPAdapter):
    """Has requests connect by a function that checks what it connects to; TLS checks the name.

    Args:
        connect: Opens a socket to a host and port.
        tls: For https.
    """

    def __init__(self, connect: Callable[[str, int], socket.socket], tls: ssl.SSLContext) -> None:
        self._connect = connect
        self._tls = tls
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._tls, **options)
        pools = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}
        self.poolmanager.pool_classes_by_scheme = {
            scheme: _pinned(pool, self._connect) for scheme, pool in pools.items()
        }

    def cert_verify(self, *_: Any) -> None:
        """Leaves the certificates to the context, or they would be read for each connection."""


def _pinned(pool: type[HTTPConnectionPool], connect: Callable[[str, int], socket.socket]) -> Any:
    """Returns a kind of pool whose connections are opened by a function."""
    opening = {"_new_conn": lambda self: connect(self.host.strip("[]"), self.port)}
    return type("Pool", (pool,), {"ConnectionCls": type("Pinned", (pool.ConnectionCls,), opening)})
