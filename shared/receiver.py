"""Where a webhook may go: which URLs are taken, and which addresses.

A URL is taken apart by one strict pattern, and only its parts are used from then on, so that no two parsers can see
different hosts in it. What a name stands for is only known when it is looked up: the worker asks `refusal` about each
address it is about to connect to, and the api about those that stand in a URL.
"""

import ipaddress
import re
from dataclasses import dataclass

from shared.errors import UrlNotAllowed

LONGEST_URL = 2048
_PATH = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
_QUERY = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*"
_URL = re.compile(
    rf"(?P<scheme>(?i:https?))://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{{1,5}}))?"
    rf"(?P<path>/{_PATH})?(?P<query>\?{_QUERY})?\Z"
)
_AUTHORITY = re.compile(r"[A-Za-z]+://([^/?#]*)")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_PORTS = {"http": 80, "https": 443}

# The IANA registries of special-purpose addresses, and what lies beyond. For IPv6 only what has been given out as
# global unicast is taken, so that loopback, link-local, unique local, multicast, IPv4-mapped and NAT64 need no line.
_NOT_GLOBAL_4 = {
    "this network": ["0.0.0.0/8"],
    "private": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"],
    "carrier-grade NAT": ["100.64.0.0/10"],
    "loopback": ["127.0.0.0/8"],
    "link-local": ["169.254.0.0/16"],
    "reserved": ["192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"],
    "6to4": ["192.88.99.0/24"],
    "multicast": ["224.0.0.0/4"],
}
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_NOT_GLOBAL_6 = {
    "reserved": ["2001::/23", "2001:db8::/32", "3fff::/20"],
    "6to4": ["2002::/16"],
}
_REFUSED = [
    (ipaddress.ip_network(network), kind)
    for kinds in (_NOT_GLOBAL_4, _NOT_GLOBAL_6)
    for kind, networks in kinds.items()
    for network in networks
]


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """What the operator allows; see `shared.sections.WebhookSettings`."""

    allow_http: bool = False
    allow_private_networks: bool = False


@dataclass(frozen=True, slots=True)
class Receiver:
    """The parts of a URL that was taken: `host` is a name or an address without brackets, `target` path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What a Host field says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def receiver(url: str, policy: UrlPolicy) -> Receiver:
    """The parts of a webhook's URL. Raises UrlNotAllowed with the reason."""
    found = _URL.match(url) if len(url) <= LONGEST_URL else None
    if found is None:
        raise UrlNotAllowed(_what_is_wrong(url))
    scheme, target = found["scheme"].lower(), (found["path"] or "/") + (found["query"] or "")
    if scheme == "http" and not policy.allow_http:
        raise UrlNotAllowed("must begin with https://")
    port = int(found["port"]) if found["port"] else _PORTS[scheme]
    if not 0 < port < 65536:
        raise UrlNotAllowed("names a port there is not")
    return Receiver(scheme, _host(found["host"].lower(), policy), port, target)


def refusal(address: str) -> str | None:
    """Why nothing is sent to this IP address: what kind it is of; None for one on the public internet."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "no IP address"
    if parsed.version == 6 and (parsed.scope_id is not None or parsed not in _GLOBAL_6):
        return "not on the public internet"
    return next((kind for network, kind in _REFUSED if parsed.version == network.version and parsed in network), None)


def _host(host: str, policy: UrlPolicy) -> str:
    """A name, or an address that may be connected to."""
    address = _address(host)
    if address is not None:
        why = None if policy.allow_private_networks else refusal(address)
        if why:
            raise UrlNotAllowed(f"names an address that nothing is sent to: {why}")
        return address
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.match(label) for label in labels):
        raise UrlNotAllowed("names no host, such as example.com without a dot at its end")
    if labels[-1] == "localhost" and not policy.allow_private_networks:
        raise UrlNotAllowed("names an address that nothing is sent to: loopback")
    return host


def _address(host: str) -> str | None:
    """The address that a host is, None for a name. A host that ends in a number is an address to the WHATWG URL
    standard and to many resolvers; of the ways to write one only the usual one is taken."""
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError as error:
            raise UrlNotAllowed("names no IPv6 address") from error
    if not _NUMBER.match(host.rstrip(".").rpartition(".")[2]):
        return None
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError as error:
        raise UrlNotAllowed("names an IPv4 address in an unusual form; write it as 203.0.113.7") from error


def _what_is_wrong(url: str) -> str:
    """The reason, said so that it can be mended."""
    authority = _AUTHORITY.match(url)
    if len(url) > LONGEST_URL:
        return f"is longer than {LONGEST_URL} characters"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "must be ASCII: write the host in its xn-- form, and what else is not ASCII as %XX"
    if not re.match(r"(?i:https?)://", url):
        return "must begin with https://"
    if authority and "@" in authority[1]:
        return "must hold no user or password: deliveries are signed"
    if authority and "%" in authority[1]:
        return "must name a host without % in it"
    if "#" in url:
        return "must hold no fragment (#)"
    return "is no URL such as https://example.com/hooks?from=sluice"
