"""Templates of --format, next to what Docker prints for them."""

from __future__ import annotations

import pytest

from mydocker.cli.output.go_template import Template, render_all
from mydocker.errors import UsageError

CONTAINER = {
    "Id": "3f2a",
    "Name": "/web",
    "State": {"Running": True, "ExitCode": 0, "Health": None, "Status": "running"},
    "Args": ["-g", "daemon off;"],
    "Config": {"Labels": {"team": "a", "com.example.kind": "b"}, "Env": ["A=1", "B=2"]},
    "NetworkSettings": {
        "Networks": {"bridge": {"IPAddress": "10.0.0.2"}, "back": {"IPAddress": "10.1.0.2"}},
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "90/tcp": None},
    },
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{.Id}}", "3f2a"),
        ("{{ .State.Running }} {{.State.ExitCode}}", "true 0"),
        ("{{json .State}}", '{"Running":true,"ExitCode":0,"Health":null,"Status":"running"}'),
        ("{{.Name | json}}", '"/web"'),
        ('{{join .Args " "}}', "-g daemon off;"),
        ("{{.Args}}", "[-g daemon off;]"),
        ("{{.Config.Labels}}", "map[com.example.kind:b team:a]"),
        ('{{index .Config.Labels "com.example.kind"}}', "b"),
        ("{{.Config.Labels.none}}", "<no value>"),
        ("{{index .Args 1}}", "daemon off;"),
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", "10.1.0.2 10.0.0.2 "),
        (
            "{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}};{{end}}",
            "back=10.1.0.2;bridge=10.0.0.2;",
        ),
        ('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "8080"),
        (
            "{{range $p, $to := .NetworkSettings.Ports}}{{if $to}}{{$p}} -> {{(index $to 0).HostPort}}{{end}}{{end}}",
            "80/tcp -> 8080",
        ),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
        ("{{if .State.Health}}a{{else if .State.Running}}b{{else}}c{{end}}", "b"),
        ('{{if eq .State.Status "exited" "running"}}yes{{end}}', "yes"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
        ("{{range $at, $each := .Args}}{{if $at}}, {{end}}{{$each}}{{end}}", "-g, daemon off;"),
        ("{{with .State}}{{.Status}} of {{$.Id}}{{end}}", "running of 3f2a"),
        ("a {{- .Id -}} b", "a3f2ab"),
        ("{{/* a remark */}}x", "x"),
        ("{{$x := .Id}}{{$x}}", "3f2a"),
        ('{{printf "%s: %d%%" .Id .State.ExitCode}}', "3f2a: 0%"),
        ('{{upper (truncate .State.Status 3)}}{{len .Args}}{{"}}"}}', "RUN2}}"),
        ("{{range .NetworkSettings.Networks.none}}x{{else}}empty{{end}}", "empty"),
    ],
)
def test_what_docker_prints(text: str, expected: str) -> None:
    assert Template(text).render(CONTAINER) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.Nmae}}", "there is no field Nmae"),
        ("{{.State.Health.Status}}", "Status is a field of nothing"),
        ("{{.Id.x}}", "x is a field of a text"),
        ("{{.Id", "}} is missing"),
        ("{{if .Id}}", "{{if}} has no {{end}}"),
        ("{{end}}", "{{end}} without a beginning"),
        ("{{html .Id}}", "function 'html' is not supported"),
        ("{{template .Id}}", "function 'template' is not supported"),
        ("{{.Id .Name}}", "follows no function"),
        ("{{join .Args}}", "does not take 1 arguments"),
        ('{{join .State.ExitCode ","}}', "function join does not take"),
        ("{{index .Args 7}}", "function index does not take"),
        ("{{$x}}", "variable $x is not set"),
        ("{{.Id + 1}}", "'+' is not supported"),
        ("{{range .Id}}{{end}}", "range does not take a text"),
        ("{{}}", "is not complete"),
        ("{{(.Id}}", "unexpected 'end'"),
        ('{{printf "%x" 1}}', "function printf does not take"),
        ("{{if .Id}}{{else foo}}{{end}}", "{{else foo}} is not supported"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        Template(text).render(CONTAINER)
    assert message in raised.value.message


def test_rows_are_lines_or_a_table() -> None:
    rows = [{"ID": "1", "Names": "web"}, {"ID": "22222", "Names": "a"}]
    assert render_all("{{.ID}}:{{.Names}}", rows) == "1:web\n22222:a\n"
    expected = "CONTAINER ID   NAMES\n1              web\n22222          a\n"
    assert render_all("table {{.ID}}\\t{{.Names}}", rows, headings={"ID": "CONTAINER ID"}) == expected
    assert render_all("table {{.ID}}", []) == "ID\n"
