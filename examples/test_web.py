"""Tests against a server in a container:  pytest examples/test_web.py

Nothing is downloaded: the container is a copy-on-write view of this machine, with Python's web server. It starts with
the first test that needs it, and ends with the last one of this file.
"""

import urllib.request

import mydocker

SERVER = "mkdir -p /srv/www; cd /srv/www; echo hello > index.html; exec python3 -u -m http.server 8000"

web = mydocker.fixture(
    None,
    ["sh", "-c", SERVER],
    rootfs="/",
    scope="module",
    ports=[8000],
    wait_for={"http": 8000, "timeout": "60s"},
)


def test_it_serves_a_page(web: mydocker.Container) -> None:
    with urllib.request.urlopen(f"http://localhost:{web.port(8000)}/") as response:
        assert response.read() == b"hello\n"


def test_it_logs_requests(web: mydocker.Container) -> None:
    web.wait_for(http=":8000/index.html", log='"GET /index.html')


def test_it_has_its_own_files(web: mydocker.Container) -> None:
    assert web.exec("cat", "/srv/www/index.html", check=True).stdout == "hello\n"


def test_it_ends_in_time(mydocker_start) -> None:
    job = mydocker_start(None, "sh", "-c", "echo working; exit 3", rootfs="/")
    assert job.wait(timeout="60s").exit_code == 3
    assert job.logs() == "working\n"
