"""Stacks as people write them, of real servers: healthy, reached, restarted, kept, and gone.

The servers are Debian's, see lab.debian. It takes a minute to get them, so these tests are a step of their own in
.ci/run.
"""

from __future__ import annotations

import imaplib
import json
import smtplib
import socket
from collections.abc import Callable

import pytest
from lab.compose import Stack
from lab.processes import within

pytestmark = [pytest.mark.root, pytest.mark.stacks, pytest.mark.timeout(600)]  # the first one makes the images

Make = Callable[..., Stack]


def _end(stack: Stack) -> None:
    stack("down", "-v")
    assert within(200, lambda: not stack.leftovers()), stack.leftovers()


def test_postgresql_an_app_and_nginx(stack: Make) -> None:
    shop = stack("shop")
    shop("up", "-d", "--wait")
    db, web = shop.container("db"), shop.container("web")
    assert [shop.fetch(web, 80, "/a") for _ in range(2)] == ["visit 1 of /a\n", "visit 2 of /a\n"]
    query = ["psql", "-U", "shop", "-d", "shop", "-tAc", "SELECT count(*) FROM visits WHERE path = '/a'"]
    assert shop("compose", "exec", "-T", "db", *query) == "2\n"
    assert shop("compose", "logs", "migrate") == "migrate-1  | migrated\n"
    assert '"GET /a HTTP/1.1" 200' in shop("logs", web)
    assert sorted(shop("compose", "ps", "--services").split()) == ["app", "db", "web"]
    assert shop("compose", "port", "web", "80").split()[0] == f"127.0.0.1:{shop.port(web, 80)}"
    for name in (db, web, shop.container("app")):  # whose address nginx has looked up once
        shop.kill(name)
    assert shop.eventually(lambda: bool(shop.fetch(web, 80, "/b"))), shop.story()
    assert shop.fetch(web, 80, "/a") == "visit 3 of /a\n"
    shop("down")
    assert shop.leftovers() == ["store: volumes/shop_db-data"]
    shop("up", "-d", "--wait")
    assert shop.fetch(web, 80, "/a") == "visit 4 of /a\n"
    shop("up", "-d", "--wait")  # changes nothing
    assert shop("exec", db, *query) == "4\n"
    _end(shop)


def test_redis_and_workers(stack: Make) -> None:
    jobs = stack("jobs")
    if jobs.is_users:  # who can limit nothing with cgroup v1
        (jobs.folder / "compose.override.yml").write_text("services: {worker: {deploy: {resources: !reset null}}}\n")
    jobs("up", "-d", "--wait")
    cli = ["exec", "jobs_redis", "redis-cli", "-a", "quite-secret", "--no-auth-warning"]
    jobs(*cli, "rpush", "jobs", *(f"job{number}" for number in range(20)))
    assert jobs.eventually(lambda: jobs(*cli, "llen", "results") == "20\n")
    done = {line.partition(" by ")[0] for line in jobs(*cli, "lrange", "results", "0", "-1").splitlines()}
    assert done == {f"JOB{number}" for number in range(20)}
    with jobs.host.inside(), socket.create_connection(("127.0.0.1", jobs.port("jobs_redis", 6379)), 10) as client:
        client.sendall(b"AUTH quite-secret\r\nLLEN results\r\nQUIT\r\n")
        assert client.makefile("rb").read() == b"+OK\r\n:20\r\n+OK\r\n"
    assert jobs(*cli, "config", "get", "maxclients").split()[-1] == "10000"
    jobs.kill("jobs_redis")
    jobs.kill("jobs-worker-2")
    assert jobs(*cli, "llen", "results") == "20\n"  # appendonly
    jobs("down")
    jobs("up", "-d", "--wait")
    assert jobs(*cli, "llen", "results") == "20\n"
    _end(jobs)


def test_mariadb_php_and_nginx(stack: Make) -> None:
    blog = stack("blog")
    blog("up", "-d", "--wait")
    web, db = blog.container("web"), blog.container("db")
    blog.fetch(web, 80, "/index.php?text=first+post")
    assert blog.fetch(web, 80) == "first post\nmemory 32M\n"
    client = ["exec", "-e", "MYSQL_PWD=rootpass", db, "mariadb", "-u", "root", "-N", "-e"]
    assert blog(*client, "SELECT text FROM blog.posts") == "first post\n"
    assert blog("exec", blog.container("php"), "cat", "/var/www/uploads/last") == "first post"
    for service in ("db", "php", "web"):
        blog.kill(blog.container(service))
    assert blog.eventually(lambda: blog.fetch(web, 80) == "first post\nmemory 32M\n"), blog.story()
    blog("down")
    blog("up", "-d", "--wait")
    assert blog.fetch(web, 80) == "first post\nmemory 32M\n"
    _end(blog)


def test_mail_from_smtp_to_imap(stack: Make) -> None:
    mail = stack("mail", "post-office")
    mail("up", "-d", "--wait")
    smtp, imap = mail.container("smtp"), mail.container("imap")

    def send(text: str, to: str = "ann@example.test") -> None:
        with mail.host.inside(), smtplib.SMTP("127.0.0.1", mail.port(smtp, 25), "elsewhere.test") as client:
            client.sendmail("bob@elsewhere.test", [to], f"Subject: {text}\r\n\r\n{text}\r\n")

    def subjects() -> int:
        with mail.host.inside(), imaplib.IMAP4("127.0.0.1", mail.port(imap, 143), timeout=60) as client:
            client.login("ann", "secret")
            return int(client.select()[1][0] or b"0")

    send("one")
    assert mail.eventually(lambda: subjects() == 1), mail.story()
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send("astray", to="ann@other.test")
    assert mail("exec", smtp, "hostname", "--fqdn") == "mail.example.test\n"
    for name in (smtp, imap):
        mail.kill(name)
    send("two")
    assert mail.eventually(lambda: subjects() == 2), mail.story()
    mail("down")
    mail("up", "-d", "--wait")
    assert subjects() == 2
    _end(mail)


def test_prometheus_and_a_node_exporter(stack: Make) -> None:
    monitoring = stack("monitoring")
    monitoring.host.do("mount --make-shared /")  # as systemd makes it
    monitoring("up", "-d", "--wait")
    prometheus = monitoring.container("prometheus")

    def up() -> dict[str, str]:
        found = json.loads(monitoring.fetch(prometheus, 9090, "/api/v1/query?query=up"))["data"]["result"]
        return {each["metric"]["job"]: each["value"][1] for each in found}

    assert monitoring.eventually(lambda: up() == {"prometheus": "1", "node": "1"}), monitoring.story()
    monitoring.kill(prometheus)
    monitoring.kill(monitoring.container("node-exporter"))
    assert monitoring.eventually(lambda: up() == {"prometheus": "1", "node": "1"}), monitoring.story()
    monitoring("down")
    monitoring("up", "-d", "--wait")
    _end(monitoring)
