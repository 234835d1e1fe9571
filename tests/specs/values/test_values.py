"""Single words: durations, users, volumes, names, variables."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mydocker.errors import UsageError
from mydocker.specs import field_types, values
from mydocker.specs.model import BindMount, Mount, User, VolumeMount
from mydocker.specs.mounts.volume import parse_volume
from mydocker.specs.values import Scope
from mydocker.specs.values.duration import parse_duration, parse_timeout
from mydocker.specs.values.hosts import parse_resolver_option, parse_search_domain
from mydocker.specs.values.quantity import parse_cpuset
from mydocker.specs.values.size import parse_size
from mydocker.specs.values.user import parse_user

HERE = Scope(directory="/srv/app", environ={"HOME": "/home/me", "LANG": "C"})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10),
        ("0.5", 0.5),
        ("10s", 10),
        ("1m30s", 90),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("1h1m1s1ms", 3661.001),
        ("3us", 3e-6),
        ("3µs", 3e-6),
        (".5s", 0.5),
    ],
)
def test_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "x", "-1s", "+1s", "1x", "1 s", " 1", "1..s", ".", "1m30", "1e3", "nan", "inf", "٣s", "9" * 400]
)
def test_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("123", 123),
        ("1b", 1),
        ("64k", 65536),
        ("64K", 65536),
        ("64kb", 65536),
        ("64KiB", 65536),
        ("64 m", 64 << 20),
        ("1.5g", 3 << 29),
        ("0.5t", 1 << 39),
        ("9007199254740993", 2**53 + 1),
        ("1.9", 1),
        ("1p", 1 << 50),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "m", "x", "-1", "+1m", "1x", "1mm", "1i", "1.2.3m", ".5g", "1e3", "nan", "٣m", "8192p", "9" * 400]
)
def test_no_size(text: str) -> None:
    with pytest.raises(UsageError):
        parse_size(text)


@pytest.mark.parametrize("text", ["-", "1-", "-1", "a", "1,,2", "2-1", "0x1", "99999", "9" * 50, "1-2-3", "²"])
def test_no_set_of_processors(text: str) -> None:
    with pytest.raises(UsageError):
        parse_cpuset(text)


@pytest.mark.parametrize("text", ["0", "0s", "0.0h"])
def test_a_timeout_of_nothing_is_a_slip(text: str) -> None:
    with pytest.raises(UsageError, match="more than 0"):
        parse_timeout(text, HERE)


@pytest.mark.parametrize(
    ("text", "user", "group"),
    [
        ("app", "app", None),
        ("1000", 1000, None),
        ("app:staff", "app", "staff"),
        ("1000:staff", 1000, "staff"),
        ("app:0", "app", 0),
        ("007", 7, None),
        ("1000:", 1000, None),
        ("app:", "app", None),
        (":1000", 0, 1000),
        (":staff", 0, "staff"),
        (":", 0, None),
        ("2147483647", 2**31 - 1, None),
        ("1_0", "1_0", None),
        ("٠", "٠", None),
        ("0x0", "0x0", None),
        ("+0", "+0", None),
        ("²", "²", None),
    ],
)
def test_user(text: str, user: str | int, group: str | int | None) -> None:
    parsed = parse_user(text)
    assert parsed == User(user=user, group=group)
    assert type(parsed.user) is type(user)


@pytest.mark.parametrize(
    "text",
    ["", "-1", "app:-1", "-1:", ":-1", "2147483648", "4294967296", "0" * 5000 + "9" * 5000, "a:b:c", "a b", "a\n"],
)
def test_no_user(text: str) -> None:
    """CVE-2024-40635: a number that wraps round, or nothing at all, must never become root."""
    with pytest.raises(UsageError):
        parse_user(text)


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        (".:/x", BindMount(source="/srv/app", target="/x")),
        ("./a/../b:/x", BindMount(source="/srv/app/b", target="/x")),
        ("../d:/x/", BindMount(source="/srv/d", target="/x")),
        ("/a:/b/../c:ro", BindMount(source="/a", target="/c", read_only=True)),
        ("//a:/b:rw", BindMount(source="/a", target="/b")),
        ("~/d:/b:z", BindMount(source="/home/me/d", target="/b")),
        ("~:/b:Z,ro", BindMount(source="/home/me", target="/b", read_only=True)),
        ("/a:/b:ro,rslave", BindMount(source="/a", target="/b", read_only=True, propagation="rslave")),
        ("/a:/b:shared", BindMount(source="/a", target="/b", propagation="shared")),
        ("/a:/b:cached", BindMount(source="/a", target="/b")),
        ("/a:/b:O", BindMount(source="/a", target="/b", copy_on_write=True)),
        ("/data", VolumeMount(target="/data")),
        ("/data/../x", VolumeMount(target="/x")),
        ("data:/x", VolumeMount(target="/x", volume="data")),
        ("a.b_C-1:/x:ro,nocopy", VolumeMount(target="/x", volume="a.b_C-1", read_only=True, copy=False)),
        ("data:/x:O", VolumeMount(target="/x", volume="data", copy_on_write=True)),
    ],
)
def test_volume(text: str, volume: Mount) -> None:
    assert parse_volume(text, HERE) == volume


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (":/x", "source of a volume is empty"),
        ("/a:", "not an absolute path"),
        ("/a:b", "not an absolute path"),
        ("/a:/", "cannot be '/'"),
        ("/a:/b/..", "cannot be '/'"),
        ("/a:/b:rx", "unknown option 'rx'"),
        ("/a:/b:ro:rw", "unknown option"),
        ("/a:/b:ro,rw", "contradict"),
        ("/a:/b:ro,ro", "are repeated"),
        ("/a:/b:shared,slave", "contradict"),
        ("~root/x:/b", "cannot expand '~root'"),
        ("x", "not an absolute path"),
        ("", "not an absolute path"),
        ("/", "cannot be '/'"),
        ("a:/x", "2 to 255 characters"),
        (f"{'a' * 256}:/x", "2 to 255 characters"),
        ("-rf:/x", "a letter or digit first"),
        (".x/../../etc:relative", "not an absolute path"),
        ("a/b:/x", "expected letters, digits"),
        ("d\u0660ta:/x", "expected letters, digits"),
        ("data:/x:rshared", "'rshared' is for a path"),
        ("/a:/x:nocopy", "'nocopy' is for named volumes"),
        ("/a:/x:O,ro", "contradict"),
        ("/a:/x:O,rshared", "contradict"),
    ],
)
def test_no_volume(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_volume(text, HERE)


def test_a_home_that_is_not_known_is_not_guessed() -> None:
    with pytest.raises(UsageError, match="cannot expand"):
        values.path("~/x", Scope(directory="/", environ={}))


@pytest.mark.parametrize(
    ("word", "value"),
    [("A=1", {"A": "1"}), ("A=", {"A": ""}), ("A=b=c", {"A": "b=c"}), ("LANG", {"LANG": "C"}), ("NOPE", {})],
)
def test_variable(word: str, value: dict[str, str]) -> None:
    assert values.variable(word, HERE) == value


@pytest.mark.parametrize("word", ["a", "a.example", "a.example.", ".", "1a.2", "x-1.y"])
def test_search_domain(word: str) -> None:
    assert parse_search_domain(word) == word


@pytest.mark.parametrize("word", ["", "1.2", "-a", "a-", "a..b", ".a", "a_b", "a b", "a\n", "ä", "..", "a" * 255])
def test_no_search_domain(word: str) -> None:
    with pytest.raises(UsageError, match="is not a valid domain"):
        parse_search_domain(word)


def test_a_resolver_option_is_on_one_line() -> None:
    assert parse_resolver_option("ndots:2") == "ndots:2"
    with pytest.raises(UsageError, match="is not an option"):
        parse_resolver_option("ndots:2\nnameserver 1.1.1.1")


@pytest.mark.parametrize("word", ["a", "a.b-c.d", "web_1", "1", "x" * 64])
def test_hostname(word: str) -> None:
    assert values.hostname(word, HERE) == word


@pytest.mark.parametrize("word", [".", "a.", "-a", "a-", "a..b", "a b", "a/b", "ä", "x" * 65, "a\n"])
def test_no_hostname(word: str) -> None:
    with pytest.raises(UsageError, match="host name"):
        values.hostname(word, HERE)


@pytest.mark.parametrize(
    ("parse", "word"),
    [
        (values.variable, ""),
        (values.variable, "=x"),
        (values.label, "=x"),
        (values.name, "-a"),
        (values.name, "a b"),
        (values.name, "x" * 256),
        (values.title, " "),
        (values.title, "a\nb"),
        (values.working_dir, "a/b"),
        (values.working_dir, "./"),
        (values.path, ""),
        (values.injected, "sh"),
        (values.injected, "/a/../b"),
        (values.injected, "/"),
        (values.pull_policy, "sometimes"),
        (values.network_mode, "container:"),
        (values.network_mode, "service:"),
        (values.network_mode, "-net"),
        (values.network_mode, "my net"),
        (values.network_mode, "pasta:-t,80"),
        (values.network_word, "service:x"),
        (values.namespaces, "mount,foo"),
        (values.namespaces, ","),
        (values.boolean, "yes"),
        (values.boolean, ""),
    ],
)
def test_refused_words(parse: object, word: str) -> None:
    assert callable(parse)
    with pytest.raises(UsageError) as caught:
        parse(word, HERE)
    assert caught.value.message[0] == caught.value.message[0].lower()


def test_namespaces_keep_one_order() -> None:
    assert values.namespaces("net, mount,net", HERE) == ("mount", "net")
    assert values.namespaces("", HERE) == ()


EMPTY = {
    values.platform: None,
    values.name: None,
    values.hostname: None,
    values.working_dir: None,
    field_types.user: None,
}
EMPTY |= {
    field_types.stop_signal: None,
    field_types.quantity("cpuset"): None,
    field_types.pull_policy: "missing",
    values.userns_mode: "host",
}


@pytest.mark.parametrize(("parse", "value"), EMPTY.items())
def test_an_empty_word_is_none(parse: Callable[[str, Scope], object], value: object) -> None:
    assert parse("", HERE) == value
