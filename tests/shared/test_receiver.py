"""Where webhooks may go: every hostile URL and address one can think of is refused, before anything is sent."""

import ipaddress
import string
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UrlNotAllowed
from shared.receiver import UrlPolicy, receiver, refusal

STRICT = UrlPolicy()
OPEN = UrlPolicy(allow_http=True, allow_private_networks=True)

GOOD = {
    "https://example.com": ("example.com", 443, "/"),
    "https://Example.COM:8443/a/b?c=d&e=%20": ("example.com", 8443, "/a/b?c=d&e=%20"),
    "HTTPS://xn--bcher-kva.example/@home;x=1": ("xn--bcher-kva.example", 443, "/@home;x=1"),
    "https://example.com?x": ("example.com", 443, "/?x"),
    "https://8.8.8.8/": ("8.8.8.8", 443, "/"),
    "https://[2606:4700::1111]/": ("2606:4700::1111", 443, "/"),
    "https://a_b.example/": ("a_b.example", 443, "/"),
    "https://1.example/": ("1.example", 443, "/"),
}

ODD = [
    "",
    "example.com",
    "//example.com",
    "ftp://example.com",
    "file:///etc/passwd",
    "gopher://example.com",
    "javascript:alert(1)",
    "https:/example.com",
    "https:///etc",
    "https://",
    "https://:443/",
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://example.com@127.0.0.1/",
    "https://127.0.0.1\\@example.com/",
    "https://example.com\\.evil.example/",
    "https://example.com#@127.0.0.1/",
    "https://example.com/#fragment",
    "https://exa mple.com/",
    " https://example.com/",
    "https://example.com/ ",
    "https://example.com/\r\nHost: evil",
    "https://example.com/\n",
    "https://example.com/\x00",
    "https://example.com\t/",
    "https://bücher.example/",
    "https://ⓔⓧⓐⓜⓟⓛⓔ.com/",
    "https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
    "https://127。0。0。1/",
    "https://example.com/ä",
    "https://%31%32%37.0.0.1/",
    "https://example.com/%zz",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:99999/",
    "https://example.com:+443/",
    "https://example.com:4 43/",
    "https://example.com./",
    "https://127.0.0.1./",
    "https://localhost./",
    "https://.example.com/",
    "https://a..example/",
    "https://-a.example/",
    "https://a-.example/",
    "https://" + "a" * 64 + ".example/",
    "https://" + "a." * 127 + "example/",
    "https://[::1/",
    "https://::1/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[1.2.3.4]/",
    "https://[:::]/",
    "https://[v1.x]/",
    "https://example.com/" + "a" * 2048,
]

NUMBERS = [
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7F.0.0.1",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.01",
    "127.0.0.0x1",
    "0",
    "0x",
    "1.2.3.4.5",
    "256.1.1.1",
    "4294967296",
    "example.0x7f",
    "example.1",
    "127.0.0.1.",
]

NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "4000::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700::1111%eth0",
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.1",
    "192.88.98.255",
    "192.167.255.255",
    "223.255.255.255",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "2003::1",
]


@pytest.mark.parametrize(("url", "parts"), GOOD.items())
def test_a_good_url_is_taken_apart(url: str, parts: tuple[str, int, str]) -> None:
    taken = receiver(url, STRICT)
    assert (taken.scheme, (taken.host, taken.port, taken.target)) == ("https", parts)


@pytest.mark.parametrize("url", ODD)
def test_an_odd_url_is_refused_whatever_is_allowed(url: str) -> None:
    with pytest.raises(UrlNotAllowed):
        receiver(url, OPEN)


@pytest.mark.parametrize("host", NUMBERS)
def test_an_address_in_an_unusual_form_is_refused_whatever_is_allowed(host: str) -> None:
    with pytest.raises(UrlNotAllowed):
        receiver(f"https://{host}/", OPEN)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert refusal(address)
    with pytest.raises(UrlNotAllowed):
        receiver(f"https://[{address}]/" if ":" in address else f"https://{address}/", STRICT)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_taken(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "api.localhost"])
def test_names_of_this_machine_are_refused(name: str) -> None:
    with pytest.raises(UrlNotAllowed, match="loopback"):
        receiver(f"https://{name}/", STRICT)


def test_plain_http_is_taken_only_where_it_is_allowed() -> None:
    with pytest.raises(UrlNotAllowed, match="https://"):
        receiver("http://example.com/", UrlPolicy(allow_private_networks=True))
    assert receiver("http://example.com/", UrlPolicy(allow_http=True)).port == 80


def test_private_addresses_are_taken_only_where_they_are_allowed() -> None:
    assert receiver("http://127.0.0.1:9/x", OPEN).authority == "127.0.0.1:9"
    assert receiver("http://[::1]/", OPEN).authority == "[::1]"
    assert receiver("https://localhost/", OPEN).host == "localhost"
    with pytest.raises(UrlNotAllowed):
        receiver("http://127.0.0.1/", UrlPolicy(allow_http=True))


def test_what_is_no_address_is_refused() -> None:
    assert refusal("example.com")


@given(st.integers(0, 2**128 - 1))
def test_no_ipv6_address_beyond_global_unicast_is_public(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    if refusal(str(address)) is None:
        assert number >> 125 == 1, "2000::/3"
        assert address.sixtofour is None
        assert address.teredo is None
        assert address.ipv4_mapped is None


@given(st.text("htps:/@\\?#[]%.-_0123456789abcx" + string.whitespace, max_size=40))
def test_another_parser_sees_the_same_host(rest: str) -> None:
    """Whatever gets through is understood by others as it is here."""
    url = "https://" + rest
    try:
        taken = receiver(url, OPEN)
    except UrlNotAllowed:
        return
    other = urlsplit(url)
    assert (other.username, other.password, other.fragment) == (None, None, "")
    assert other.port in (None, taken.port)
    try:
        assert ipaddress.ip_address(other.hostname or "") == ipaddress.ip_address(taken.host)
    except ValueError:
        assert other.hostname == taken.host
