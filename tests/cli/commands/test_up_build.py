"""`mydocker up` and `mydocker compose build` of services that are built."""

from __future__ import annotations

import pathlib
import shutil

import pytest
from lab.builder import BUILDERS
from lab.command import Command
from lab.places import EXAMPLES
from lab.registry import Registry

pytestmark = [pytest.mark.root, pytest.mark.skipif(not BUILDERS, reason="needs buildah")]

FILE = """\
name: shop
services:
  web:
    network_mode: none
    build:
      context: web
      args: [WORD]
      additional_contexts: {base: 'service:db'}
  db:
    image: example.invalid/db:test
    network_mode: none
    build:
      context: db
      dockerfile_inline: |
        FROM scratch
        COPY busybox /bin/sh
        CMD echo database
"""


@pytest.fixture
def shop(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("web", "db"):
        (tmp_path / name).mkdir()
        shutil.copy("/bin/busybox", tmp_path / name)
    (tmp_path / "compose.yaml").write_text(FILE)
    (tmp_path / "web" / "Dockerfile").write_text(
        "FROM base\nARG WORD\nRUN echo $WORD > /word\nCMD read x < /word; echo web $x\n"
    )
    return tmp_path


@pytest.fixture
def fresh(mydocker: Command, builder_store: dict[str, str]) -> Command:
    """A command whose own store is empty, with the builder of the other tests."""
    mydocker.environment.update(builder_store)  # type: ignore[attr-defined]  # a dict, made for this test
    return mydocker


def test_a_stack_is_built_once_and_again_when_asked(fresh: Command, shop: pathlib.Path) -> None:
    first = fresh("up", cwd=shop, env={"WORD": "one"})
    assert first.code == 0, first
    assert sorted(first.stdout.splitlines()) == [b"db-1   | database", b"web-1  | web one"]
    order = [line for line in first.stderr.splitlines() if line.startswith(b"building ")]
    assert order == [b"building example.invalid/db:test", b"building shop-web:latest"]

    again = fresh("up", cwd=shop, env={"WORD": "two"})
    assert b"web one" in again.stdout and b"building" not in again.stderr

    anew = fresh("up", "--build", cwd=shop, env={"WORD": "two"})
    assert b"web two" in anew.stdout and anew.stderr.count(b"building") == 2, anew

    policy = fresh("up", "--pull", "build", "--no-deps", "web", cwd=shop, env={"WORD": "three"})
    assert b"web three" in policy.stdout, policy

    assert fresh("tag", "example.invalid/db:test", "shop-db:7").code == 0  # not quite the name without `image`
    (shop / "compose.yaml").write_text(FILE.replace("example.invalid/db:test", "shop-db:7"))
    for which, left in (("local", [b"shop-db", b"example.invalid/db"]), ("all", [b"example.invalid/db"])):
        assert fresh("down", "--rmi", which, cwd=shop).code == 0
        rows = [line.split() for line in fresh("images").stdout.splitlines()[1:]]
        assert sorted(name for name, tag, *_ in rows if tag != b"<none>") == sorted(left)
    assert fresh("down", "--rmi", "all", cwd=shop).code == 0


def test_a_container_in_the_background_follows_its_image(fresh: Command, shop: pathlib.Path) -> None:
    (shop / "web" / "Dockerfile").write_text(
        "FROM base\nARG WORD\nRUN echo $WORD > /word\nCMD while read x; do :; done\n"
    )
    try:
        for word, same in (("one", False), ("one", True), ("two", False)):
            before = fresh("ps", "-aq", "--no-trunc").stdout
            assert fresh("up", "-d", "--build", "web", cwd=shop, env={"WORD": word}).code == 0
            assert (fresh("ps", "-aq", "--no-trunc").stdout == before) == same, word
    finally:
        fresh("down", "-t", "0", cwd=shop)


def test_compose_build_builds_what_is_named(fresh: Command, shop: pathlib.Path) -> None:
    done = fresh("compose", "build", "-q", "db", cwd=shop)
    assert (done.code, done.stdout, done.stderr) == (0, b"", b"")
    assert [line.split()[0] for line in fresh("images").stdout.splitlines()[1:]] == [b"example.invalid/db"]
    both = fresh("compose", "build", "--build-arg", "WORD=given", cwd=shop, env={"WORD": "of the environment"})
    assert both.code == 0, both
    assert fresh("run", "shop-web").stdout == b"web given\n"
    missing = fresh("compose", "build", "wb", cwd=shop)
    assert missing.code == 125 and b"no such service: wb" in missing.stderr
    assert b"did you mean 'web'?" in missing.stderr


def test_one_more_container_of_a_service_is_built_as_well(fresh: Command, shop: pathlib.Path) -> None:
    assert fresh("compose", "pull", "web", cwd=shop).code == 0, "it has no registry"
    done = fresh("compose", "run", "--rm", "web", "sh", "-c", "echo once", cwd=shop)
    assert done.stdout.endswith(b"once\n") and b"building shop-web:latest" in done.stderr, done


def test_an_image_with_a_name_is_pulled_before_it_is_built(
    fresh: Command, registry: Registry, shop: pathlib.Path
) -> None:
    """compose-spec, "Using build and image"; only what cannot be pulled is built."""
    (shop / "compose.yaml").write_text(
        "services:\n  one: {image: alpine, build: nowhere, command: echo pulled, network_mode: none}\n"
    )
    done = fresh("up", cwd=shop)
    assert done.stdout == b"one-1  | pulled\n" and b"building" not in done.stderr, done
    built = fresh("up", "--build", cwd=shop)
    assert built.code == 125
    assert f"compose.yaml:2:31: the build context {shop}/nowhere does not exist" in built.stderr.decode()

    (shop / "compose.yaml").write_text(
        f"services:\n  one: {{image: '{registry.address}/no/such', build: db, command: echo built,\n"
        "        network_mode: none}\n"
    )
    (shop / "db" / "Dockerfile").write_text("FROM scratch\nCOPY busybox /bin/echo\n")
    failed = fresh("up", cwd=shop)
    assert failed.stdout == b"one-1  | built\n" and b"cannot be pulled" in failed.stderr, failed


def test_what_is_not_built_is_an_error(fresh: Command, shop: pathlib.Path) -> None:
    never = fresh("up", "--no-build", "web", cwd=shop)
    assert never.code == 125
    assert b"image shop-web:latest is not in the store, and is not built with --no-build" in never.stderr
    both = fresh("up", "--no-build", "--build", cwd=shop)
    assert both.code == 125 and b"--build and --no-build exclude each other" in both.stderr
    shown = fresh("up", "--dry-run", cwd=shop)
    assert shown.code == 0 and f"web: shop-web:latest would be built from {shop}/web".encode() in shown.stderr
    nothing = fresh("up", cwd=shop, env={"PATH": str(shop)})
    assert nothing.code == 125 and b"hint: install the package buildah" in nothing.stderr
    assert fresh("check", cwd=shop, env={"PATH": str(shop)}).code == 0
    assert fresh("images").stdout.count(b"\n") == 1

    (shop / "web" / "Dockerfile").write_text("FROM base\nRUN exit 9\n")
    failing = fresh("up", cwd=shop)
    assert failing.code == 125 and failing.stdout == b""
    expected = b"mydocker: compose.yaml:6:7: building shop-web:latest: buildah failed with exit code 9: "
    assert expected in failing.stderr, failing
    shutil.rmtree(shop / "web")
    assert fresh("check", cwd=shop).code == 0
    gone = fresh("up", cwd=shop)
    assert gone.code == 125 and f"compose.yaml:6:7: the build context {shop}/web does not exist".encode() in gone.stderr


def test_a_batch_of_tests_builds_what_it_lacks(fresh: Command, shop: pathlib.Path) -> None:
    (shop / "a.smoke.yaml").write_text(
        "image: tested\nbuild: db\nnetwork_mode: none\npull_policy: build\nexpect: {stdout: database}\n"
    )
    (shop / "db" / "Dockerfile").write_text("FROM scratch\nCOPY busybox /bin/sh\nCMD echo database\n")
    done = fresh("test", "a.smoke.yaml", cwd=shop)
    assert done.code == 0 and b"building tested:latest" in done.stderr, done
    up = fresh("up", "a.smoke.yaml", cwd=shop)
    assert up.code == 0 and up.stdout == b"database\n", up
    (shop / "db" / "Dockerfile").write_text("FROM scratch\nCOPY busybox /bin/sh\nRUN exit 2\n")
    failing = fresh("test", "a.smoke.yaml", cwd=shop)
    assert failing.code == 3 and b"building tested:latest: buildah failed" in failing.stderr, failing


def test_a_platform_of_another_system_is_an_error_when_it_starts(fresh: Command, shop: pathlib.Path) -> None:
    (shop / "compose.yaml").write_text(
        "services:\n  one: {build: web, platform: wasi/wasm, runtime: io.containerd.wasmedge.v1}\n"
    )
    assert fresh("check", cwd=shop).code == 0
    done = fresh("up", cwd=shop)
    assert done.code == 125 and b"platform wasi/wasm: containers here are for linux" in done.stderr
    assert b"wasmedge" in done.stderr and b"building" not in done.stderr


def test_no_registry_is_asked_for_what_is_built(fresh: Command, registry: Registry, shop: pathlib.Path) -> None:
    before = len(registry.requests())
    locked = fresh("lock", "--lock-file", "-", "compose.yaml", cwd=shop)
    assert locked.code == 0 and b"sha256" not in locked.stdout, locked
    (shop / "mydocker.lock").write_bytes(locked.stdout)
    for option in ("--offline", "--frozen"):
        done = fresh("up", option, "web", cwd=shop)
        assert done.code == 0 and b"web-1  |" in done.stdout, done
    assert len(registry.requests()) == before


def test_the_example_greets(fresh: Command) -> None:
    done = fresh("compose", "-f", str(EXAMPLES / "build.yaml"), "up")
    assert sorted(done.stdout.splitlines()) == [b"db-1   | hello from db", b"web-1  | hello from web"], done


def test_a_quadlet_is_built_by_its_unit(fresh: Command, tmp_path: pathlib.Path) -> None:
    shutil.copy("/bin/busybox", tmp_path)
    (tmp_path / "Containerfile").write_text(
        "FROM scratch\nARG WORD\nCOPY busybox /bin/sh\nENV WORD=$WORD\nCMD echo built $WORD\n"
    )
    (tmp_path / "app.build").write_text(
        "[Build]\nImageTag=localhost/quadlet-app:1\nSetWorkingDirectory=unit\nBuildArg=WORD=here\n"
    )
    (tmp_path / "web.container").write_text("[Container]\nImage=app.build\nNetwork=none\n")
    done = fresh("up", "web.container", cwd=tmp_path)
    assert (done.stdout, done.code) == (b"web  | built here\n", 0), done
    (tmp_path / "app.build").write_text("[Build]\nImageTag=localhost/x\nSetWorkingDirectory=unit\nVolume=/a:/b\n")
    assert fresh("check", "web.container", cwd=tmp_path).code == 0
    done = fresh("up", "web.container", cwd=tmp_path)
    assert done.code == 125 and b"app.build: volumes of a build: this is not supported" in done.stderr, done
    (tmp_path / "app.build").write_text("[Build]\nImageTag=localhost/x\nSetWorkingDirectory=unit\nIgnoreFile=a\n")
    done = fresh("up", "web.container", cwd=tmp_path)
    assert done.code == 125 and b"app.build: ignore file of a build: this is not supported" in done.stderr, done
