"""What the units of `mydocker unit` have in common: which program they run, on which images, with which variables; and
the service and the timer of tests."""

from __future__ import annotations

import os

from mydocker import programs
from mydocker.cli.common import say
from mydocker.errors import HostError, UsageError
from mydocker.paths import absolute, own_program, xdg
from mydocker.record import TYPE_CHECKING
from mydocker.specs.load.profiles import active_profiles
from mydocker.specs.render.systemd_unit import ServiceUnit, service_text, timer_text
from mydocker.testing.cases.collect import collect

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from mydocker.specs.model.case import CaseSpec

_SECONDS_TO_REPORT = 5  # for the reports, after the last container has been stopped
_TEST_SUFFIXES = (".yaml", ".yml", ".json", ".smoke")
# where images, credentials and certificates are. Proxies are not among them: their addresses may hold a password, and
# everybody may read a unit. So may a variable that only spec files use, whatever its name begins with
_XDG = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")  # of which relative ones are ignored
_PATHS = ("MYDOCKER_ROOT", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "CONTAINERS_REGISTRIES_CONF")
_MORE_PATHS = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def of_tests(options: argparse.Namespace) -> dict[str, str]:
    """A service that runs `mydocker test` with the paths of OPTIONS, and with --timer the timer that starts it. Raises
    UsageError, SpecError."""
    if not options.words:
        raise UsageError("--test: expected the paths of tests", hint="mydocker unit --test tests")
    _refuse_project_options(options)
    paths, calendar = lasting(options.words), [_calendar(text) for text in options.timer]
    profiles = active_profiles(options.profile, os.environ)
    cases = collect(options.words, environ=os.environ, profiles=profiles, warn=say)
    if not cases:
        raise UsageError(f"there is nothing to test in {', '.join(options.words)}")
    name = unit_name(f"mydocker-test-{_stem(paths[0])}")
    shown = ", ".join(os.path.basename(path) for path in paths)
    chosen = [word for profile in sorted(profiles) for word in ("--profile", profile)]
    unit = ServiceUnit(
        name=f"{name}.service",
        description=f"Tests of {shown}",
        command=(own_program(), "test", *chosen, *paths),
        before=tuple(pulls([case.spec for case in cases])),
        environment=environment(),
        notifies=False,
        is_check=True,
        grace=max(case.spec.container.stop_grace_period for case in cases),
        stop_time=_SECONDS_TO_REPORT,
        wanted_by="",
        source=paths[0].partition(":")[0],
    )
    timer = {f"{name}.timer": timer_text(f"When to run the tests of {shown}", calendar)} if calendar else {}
    return {**timer, unit.name: service_text(unit, is_users=options.user)}


def _refuse_project_options(options: argparse.Namespace) -> None:
    given = ("file", "project_name", "project_directory", "env_file", "ignore")
    for name in given:
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} is not for --test")


def _calendar(text: str) -> str:
    """TEXT, if systemd takes it for a calendar expression; where systemd is not installed, it says so later."""
    wrong = UsageError(
        f"--timer: {text!r} is no calendar expression", hint="such as daily, or 'Mon..Fri 03:00', see systemd.time(7)"
    )
    if not text.strip() or not text.isprintable() or text.startswith("-"):
        raise wrong
    try:
        programs.find("systemd-analyze")
    except HostError:
        return text
    try:
        programs.run("systemd-analyze", "calendar", text)
    except HostError:
        raise wrong from None
    return text


def _stem(path: str) -> str:
    """The name of PATH, without the line of an address and without suffixes."""
    name = os.path.basename(path).partition(":")[0]
    while name.endswith(_TEST_SUFFIXES):
        name = os.path.splitext(name)[0]
    return name


def environment() -> tuple[tuple[str, str], ...]:
    """The variables of this process that say where things are: the unit is to find the same. All others, such as those
    that choose files and profiles of a project, have become words of the command by now."""
    found = [(name, absolute(os.environ[name])) for name in (*_PATHS, *_MORE_PATHS) if os.environ.get(name)]
    found += [(name, path) for name in _XDG if (path := xdg(os.environ, name))]
    limits = sorted(name for name in os.environ if name.startswith("MYDOCKER_LAYER_"))
    return (*found, *((name, os.environ[name]) for name in limits))


def lasting(files: Sequence[str]) -> list[str]:
    """The absolute paths of FILES. Raises UsageError if one is standard input."""
    if "-" in files:
        raise UsageError("a unit needs a file that stays: expected the name of a file, not -")
    return [absolute(file) for file in files]


def pulls(cases: Sequence[CaseSpec]) -> list[tuple[str, ...]]:
    """The command that pulls the images before the start, which has a time limit of its own."""
    found: dict[tuple[str, ...], None] = {}
    for case in cases:
        spec = case.container
        if spec.image and spec.pull_policy != "never" and spec.image.location is None:
            platform = ("--platform", str(spec.platform)) if spec.platform else ()
            found[(own_program(), "pull", "-q", "--policy", spec.pull_policy, *platform, spec.image.short)] = None
    return [*found]


def unit_name(text: str) -> str:
    """TEXT with what the name of a unit may not have replaced (systemd.unit(5))."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in ":-_.@") else "-" for letter in text)


def wanted_by(options: argparse.Namespace) -> str:
    return "default.target" if options.user else "multi-user.target"
