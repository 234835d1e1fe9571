"""mydocker: unit files for containers. This module holds the version and imports nothing.

The names of `__all__` are the Python API, loaded when one is first used: see api.py, and errors.py for what is raised.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mydocker.api import (
        BatchError,
        BatchResult,
        BytesOutcome,
        CaseResult,
        ContainerError,
        Image,
        Outcome,
        load,
        pull,
        run,
        run_async,
        test,
    )
    from mydocker.errors import (
        CommandNotExecutableError,
        CommandNotFoundError,
        HostError,
        ImageError,
        ImageNotFoundError,
        LaunchError,
        MydockerError,
        RegistryError,
        SpecError,
        StoreError,
        UsageError,
    )
    from mydocker.spec.container import ContainerSpec

__all__ = [
    "BatchError",
    "BatchResult",
    "BytesOutcome",
    "CaseResult",
    "CommandNotExecutableError",
    "CommandNotFoundError",
    "ContainerError",
    "ContainerSpec",
    "HostError",
    "Image",
    "ImageError",
    "ImageNotFoundError",
    "LaunchError",
    "MydockerError",
    "Outcome",
    "RegistryError",
    "SpecError",
    "StoreError",
    "UsageError",
    "load",
    "pull",
    "run",
    "run_async",
    "test",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'mydocker' has no attribute {name!r}")
    of_api = not name.endswith("Error") or name in ("BatchError", "ContainerError")
    place = "mydocker.api" if of_api else "mydocker.errors"
    found: object = getattr(__import__(place, fromlist=["api"]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
