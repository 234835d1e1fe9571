"""The plan of a container that another process of mydocker runs, read from its run directory (run_directory.py).

It is a Python literal of Records by their class names, which is read as that and never evaluated: names of known
classes, keywords, and values.
"""

from __future__ import annotations

import ast
import os

from mydocker import idmap
from mydocker.errors import LaunchError
from mydocker.image import model as image_model
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime import plan, seccomp
from mydocker.runtime.cgroup import controllers, hierarchy
from mydocker.runtime.launch.run_directory import PLAN
from mydocker.runtime.plan import (
    LaunchPlan,
    devices,
    keep_id,
    mac_label,
    machine_tree,
    operations,
    propagation,
    root,
    sysctls,
    volume_mounts,
)
from mydocker.runtime.user_namespace import words
from mydocker.specs import model
from mydocker.specs.model import parts
from mydocker.specs.security import seccomp as profile

if TYPE_CHECKING:
    from typing import Any

_MODULES = (
    *(idmap, plan, seccomp, controllers, hierarchy, devices, keep_id, mac_label, machine_tree, operations, propagation),
    *(root, sysctls, volume_mounts, model, parts, profile, image_model, words),
)
_CONSTANTS = (str, int, float, bytes, bool, type(None))


class Running(Record):
    """What the run directory of a container says whose command has begun; times are ticks since the boot."""

    pid: int
    start_time: int
    created: float  # seconds since 1970
    plan: LaunchPlan


def read(run_dir: str) -> Running | None:
    """What RUN_DIR says; None if it says nothing, or not yet. Raises LaunchError if that cannot be read."""
    try:
        with open(f"{run_dir}/{PLAN}", encoding="utf-8", errors="surrogateescape") as file:
            text, created = file.read(), os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LaunchError(f"cannot read {run_dir}/{PLAN}: {error.strerror}") from None
    if not text.endswith("\n"):  # it is being written
        return None
    head, _, literal = text.partition("\n")
    try:
        pid, start_time = map(int, head.split())
        found = parse(literal)
    except (ValueError, TypeError, SyntaxError, RecursionError) as error:
        hint = "it was written by another version of mydocker" if isinstance(error, TypeError) else None
        raise LaunchError(f"cannot read {run_dir}/{PLAN}: {error}", hint=hint) from None
    if not isinstance(found, LaunchPlan):
        raise LaunchError(f"cannot read {run_dir}/{PLAN}: it is no plan")
    return Running(pid=pid, start_time=start_time, created=created, plan=found)


def parse(text: str) -> object:
    """The value whose repr is TEXT. ValueError, SyntaxError, TypeError if that is none."""
    return _value(ast.parse(text.strip(), mode="eval").body, _classes())


def _value(node: ast.expr, classes: dict[str, type[Record]]) -> Any:
    if isinstance(node, ast.Constant) and type(node.value) in _CONSTANTS:
        return node.value
    if isinstance(node, (ast.Tuple, ast.List)):
        values = [_value(each, classes) for each in node.elts]
        return tuple(values) if isinstance(node, ast.Tuple) else values
    if isinstance(node, ast.Dict):
        pairs = [(key, value) for key, value in zip(node.keys, node.values, strict=True) if key is not None]
        return {_value(key, classes): _value(value, classes) for key, value in pairs}
    if isinstance(node, ast.Name) and node.id == "inf":
        return float(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -_value(node.operand, classes)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
        if node.func.id not in classes:
            raise TypeError(f"unknown: {node.func.id}")
        return classes[node.func.id](**{str(each.arg): _value(each.value, classes) for each in node.keywords})
    raise ValueError(f"unexpected: {ast.unparse(node)[:40]}")


def _classes() -> dict[str, type[Record]]:
    """The Records that plans are made of, by their names."""
    return {
        name: each
        for module in _MODULES
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, Record)
    }
