"""Which addresses may be connected to, checked on the very address that is connected to.

A name is resolved once and the socket is opened to one of those addresses, so a name that
resolves to another address a moment later (DNS rebinding) gains nothing. The name itself is kept
for the Host header and for TLS.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], list[str]]

# NAT64 (RFC 6052): the last 32 bits are an IPv4 address that a gateway connects to.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Its variant for local use (RFC 8215): where it leads is the network's own affair.
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
# IPv4-compatible addresses (RFC 4291, deprecated): some systems connect to the IPv4 address.
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class AddressError(Exception):
    """A host whose addresses may not be connected to."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the public Internet, in whatever wrapping."""
    return all(
        inner.is_global
        and not inner.is_multicast
        and not inner.is_reserved
        and not inner.is_link_local
        and not inner.is_private
        and not inner.is_loopback
        for inner in _unwrapped(address)
    )


def _unwrapped(address: Address) -> Iterator[Address]:
    """An address, or the IPv4 addresses that it leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64:
        yield last
        return
    if address in _LOCAL_NAT64:
        yield ipaddress.IPv4Address("127.0.0.1")
        return
    if address in _COMPATIBLE:
        yield last
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    yield address


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
