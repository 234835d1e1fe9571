"""Challenges, and to which token servers a user's secret may go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mydocker.errors import RegistryError
from mydocker.image.registry.auth.token import Challenge, is_own, parse_challenges
from mydocker.image.registry.hosts import is_loopback
from mydocker.image.registry.http.redirects import RedirectPolicy
from mydocker.image.registry.http.timeouts import Timeouts
from mydocker.image.registry.http.transport import Transport

HUB = "https://registry-1.docker.io/v2/library/alpine/"


def challenge(scheme: str, **parameters: str) -> Challenge:
    return Challenge(scheme=scheme, parameters=parameters)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
            [
                challenge(
                    "bearer",
                    realm="https://auth.docker.io/token",
                    service="registry.docker.io",
                    scope="repository:a/b:pull,push",
                )
            ],
        ),
        ('BASIC Realm="my \\"own\\", really"', [challenge("basic", realm='my "own", really')]),
        ("Basic", [challenge("basic")]),
        ("Bearer realm=x , service = y", [challenge("bearer", realm="x", service="y")]),
        (
            'Negotiate, Basic realm="r", Bearer realm="t"',
            [challenge("negotiate"), challenge("basic", realm="r"), challenge("bearer", realm="t")],
        ),
        ("", []),
        ('="x"', []),
        ('Bearer realm="unclosed', [challenge("bearer")]),
    ],
)
def test_challenges(header: str, expected: list[Challenge]) -> None:
    assert parse_challenges(header) == expected


@given(st.text(alphabet='Bearer ="\\,realm\t', max_size=200))
def test_any_header_is_read_without_an_error(header: str) -> None:
    assert isinstance(parse_challenges(header), list)


@pytest.mark.timeout(100)  # many times as much if it took the square of its length
def test_no_header_takes_long() -> None:
    assert parse_challenges('Bearer realm="' + '\\"' * 1_000_000) == [challenge("bearer")]
    assert parse_challenges("," * 2_000_000 + " ") == []


@pytest.mark.parametrize(
    ("realm", "registry", "own"),
    [
        ("https://auth.docker.io/token", HUB, True),
        ("https://ghcr.io/token", "https://ghcr.io/v2/a/", True),
        ("https://gitlab.com/jwt/auth", "https://registry.gitlab.com/v2/a/", True),
        ("https://git.example.com/jwt", "https://registry.example.com:5050/v2/", True),
        ("https://R.example.com:444/t", "https://r.example.com/v2/", True),
        ("http://127.0.0.1:5001/token", "http://127.0.0.1:5000/v2/a/", True),
        ("http://ghcr.io/token", "https://ghcr.io/v2/a/", False),
        ("https://evil.io/token", HUB, False),
        ("https://auth.docker.io.evil.io/token", HUB, False),
        ("https://evildocker.io/token", HUB, False),
        ("https://evil.co.uk/token", "https://example.co.uk/v2/", False),
        ("https://evil.io/token", "https://example.io/v2/", False),
        ("https://10.0.0.9/token", "https://11.0.0.9/v2/", False),
        ("https://r.example.com@evil.io/token", "https://r.example.com/v2/", False),
    ],
)
def test_the_registrys_own_realm(realm: str, registry: str, own: bool) -> None:
    assert is_own(realm, registry) is own


@pytest.mark.parametrize(
    ("home", "url", "reason"),
    [
        ("8.8.8.8", "http://8.8.8.8/token", "without encryption"),
        ("8.8.8.8", "https://169.254.169.254/latest/meta-data", "link-local"),
        ("127.0.0.1:5000", "http://169.254.169.254/latest/meta-data", "link-local"),
        ("127.0.0.1:5000", "http://[::ffff:169.254.169.254]/", "link-local"),
        ("127.0.0.1:5000", "http://0xa9fea9fe/", "link-local"),
        ("8.8.8.8", "https://10.0.0.1/token", "private network"),
        ("8.8.8.8", "https://127.0.0.1/token", "private network"),
        ("8.8.8.8", "https://[::1]/token", "private network"),
        ("8.8.8.8", "https://[fd00:ec2::254]/token", "private network"),
        ("8.8.8.8", "ftp://8.8.8.8/token", "no usable address"),
        ("8.8.8.8", "file:///etc/passwd", "no usable address"),
        ("8.8.8.8", "https://user:pass@1.1.1.1/", "no usable address"),
        ("8.8.8.8", "https://1.1.1.1:99999/", "no usable address"),
        ("8.8.8.8", "https://[::1/", "no usable address"),
        ("8.8.8.8", "/token", "no usable address"),
        ("8.8.8.8", "https://", "no usable address"),
    ],
)
def test_where_a_registry_cannot_send_us(home: str, url: str, reason: str) -> None:
    with pytest.raises(RegistryError, match=reason) as caught:
        RedirectPolicy(home, insecure=is_loopback(home)).check(url)
    assert "user:pass" not in str(caught.value)


@pytest.mark.parametrize(
    ("home", "url"),
    [
        ("8.8.8.8", "https://1.1.1.1/token"),
        ("8.8.8.8:5000", "https://8.8.8.8/token"),
        ("10.0.0.1", "https://10.0.0.2/token"),
        ("127.0.0.1:5000", "http://localhost:5001/token"),
    ],
)
def test_where_it_can(home: str, url: str) -> None:
    RedirectPolicy(home, insecure=is_loopback(home)).check(url)


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({"https_proxy": "http://p:3128"}, "https://r.io/v2/", {"https": "http://p:3128"}),
        ({"HTTPS_PROXY": "http://p:3128"}, "https://r.io/v2/", {"https": "http://p:3128"}),
        ({"ALL_PROXY": "http://p:3128"}, "http://r.io/v2/", {"http": "http://p:3128"}),
        ({"https_proxy": "http://p:3128"}, "http://r.io/v2/", {}),
        ({"https_proxy": "http://p:3128", "NO_PROXY": "x.org,r.io"}, "https://a.r.io/v2/", {}),
        ({"all_proxy": "http://p:3128"}, "http://127.0.0.1:5000/v2/", {}),
        ({}, "https://r.io/v2/", {}),
    ],
)
def test_proxies_of_the_environment(environ: dict[str, str], url: str, proxy: dict[str, str]) -> None:
    transport = Transport("r.io", insecure=False, environ=environ, timeouts=Timeouts())
    assert transport.proxies(url) == proxy
