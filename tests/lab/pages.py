"""What the blocks of the documentation need to run: the files that pages speak of, and what stands in for the reader's
own names, registries and packages."""

from __future__ import annotations

import pathlib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lab.markdown import Block, blocks
from lab.places import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = ("sh", "yaml", "python", "console", "ini", "toml", "json")

# what only a reader can fill in, or what changes the machine, and what stands there when a block runs
_REPLACED = (
    (r"@sha256:…", "@{digest}"),
    (r"^\$\(command -v sudo\) apt-get .*&&$", "true &&"),
    (r"^(sudo )?apt-get .*$", "true"),
    (r"^python3 -m venv .*$", "true &&"),
    (r"^\$\(command -v sudo\) \.venv/bin/mydocker", "mydocker"),
    (r"^(sudo )?(pip|pipx|uv tool) install .*$", "true"),
    (r"\.venv/bin/", ""),
    (r"^sudo sysctl .*$", "true"),
    (r"^sudo usermod .*$", "true"),
    (r"(registry|mirror)\.example\.com", "{registry}"),
    (r"\bghcr\.io(?=\s|$)", "{registry}"),
)
_JQ = """#!{python}
import json, sys
assert sys.argv[1:] == [".[].Config.Env"]
print([each["Config"]["Env"] for each in json.load(sys.stdin)])
"""
_FILES = {
    "script.py": "print('from a file')\n",
    "src/todo": "write tests\n",
    "app.env": "MODE=fast\n",
    "tests/first.smoke.yaml": "image: alpine\ncommand: echo a\nexpect: {stdout: a}\n",
}
_NAMED = re.compile(r"# (\S+\.(?:ya?ml|container|pod|volume|conf|toml|py))\n")


def name_of(block: Block) -> str:
    """The file that BLOCK is, which its first line names; else one of its own."""
    named = _NAMED.match(block.text)
    return named[1] if named else f"block-{block.line}.{block.language}"


def script_of(text: str, environment: Mapping[str, str]) -> str:
    """TEXT of a block as the shell is to have it."""
    for pattern, instead in _REPLACED:
        filled = instead.format(digest=environment["DIGEST"], registry=environment["REGISTRY"])
        text = re.sub(pattern, filled, text, flags=re.MULTILINE)
    return text


def write_files(page: pathlib.Path, directory: pathlib.Path, environment: Mapping[str, str]) -> None:
    """Into DIRECTORY: the files of PAGE, others that pages speak of, and programs that stand in for some."""
    named = {name_of(block): block.text for block in blocks(page) if _NAMED.match(block.text)}
    programs = {
        "bin/jq": _JQ.format(python=sys.executable),
        "bin/sudo": '#!/bin/sh\nexec env "$@"\n',  # the tests are root's already
    }
    for name, text in {**_FILES, **named, **programs}.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(script_of(text, environment))
    for name in programs:
        (directory / name).chmod(0o755)
    (directory / "examples").symlink_to(ROOT / "examples")


def workflow_steps(document: Mapping[str, Any]) -> Sequence[str]:
    """The scripts of a GitHub workflow, of a file of GitLab's or of one of pre-commit's, in their order; of anything
    else none. Where one uses the repository's action, template or hook, its inputs must exist and become a command."""
    jobs = document.get("jobs")
    if isinstance(jobs, dict):
        return [script for job in jobs.values() for step in job["steps"] for script in _step(step)]
    if "repos" in document:
        hooks = {hook["id"]: hook["entry"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
        return [f"{hooks[hook['id']]} tests" for each in document["repos"] for hook in each["hooks"]]
    return [script for job in document.values() if isinstance(job, dict) for script in _job(job)]


def _step(step: Mapping[str, Any]) -> list[str]:
    if not step.get("uses", "").startswith("mydocker/mydocker@"):
        return [step["run"]] if "run" in step else []
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    values = {name: str(each["default"]) for name, each in inputs.items()}
    assert set(step["with"]) <= set(values), step
    values.update(step["with"])
    return [f"mydocker test {values['args']} {values['paths']}"]


def _job(job: Mapping[str, Any]) -> list[str]:
    if job.get("extends") != ".mydocker":
        return ["\n".join([*job.get("before_script", ()), *job["script"]])] if "script" in job else []
    template = yaml.safe_load((ROOT / "docs" / "mydocker.gitlab-ci.yml").read_text())[".mydocker"]
    assert set(job["variables"]) <= set(template["variables"]), job
    values = {**template["variables"], **job["variables"]}
    return [f"mydocker test {values['MYDOCKER_ARGS']} {values['MYDOCKER_PATHS']}"]
