"""Which peers are ours: the proxies whose word about a request is taken."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

# Where a scope keeps the connection's own peer once its client has been replaced by a forwarded one.
PEER = "swift.peer"


class TrustedPeers:
    """Networks in CIDR notation (`10.0.0.0/8`, `::1`), and `unix` for peers on a Unix socket.

    Raises ValueError for anything else: a host name would be resolved by somebody else's DNS.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        if isinstance(networks, str):
            networks = (networks,)
        self.networks = []
        self.unix = False
        for network in networks:
            if network == "unix":
                self.unix = True
                continue
            try:
                self.networks.append(ip_network(network))
            except ValueError:
                raise ValueError(
                    f"{network!r} is not a network; write an address or CIDR such as 10.0.0.0/8, or `unix`."
                ) from None
        # Every request asks about the same few proxies; the addresses of clients pass through and drop out.
        self._holds = lru_cache(maxsize=1024)(self._search)

    def __contains__(self, host: str | None) -> bool:
        """Whether a peer is trusted; `None` and "" are what servers give for a Unix socket."""
        return self._holds(host) if host else self.unix

    def _search(self, host: str) -> bool:
        address = parse_address(host)
        return address is not None and any(address in network for network in self.networks)


def parse_address(text: str) -> Address | None:
    """An IP address; one that maps IPv4 into IPv6 (`::ffff:10.0.0.1`) counts as the IPv4 address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address
