"""mydocker: unit files for containers. This module holds the version and imports nothing.

The names of `__all__` are the Python API, loaded when one is first used: see api.py, and errors.py for what is raised.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mydocker.api import Container, load, pull, run, run_async, start, test
    from mydocker.errors import (
        ArgumentTypeError,
        CommandNotExecutableError,
        CommandNotFoundError,
        HostError,
        ImageError,
        ImageNotFoundError,
        LaunchError,
        MydockerError,
        NetworkError,
        RegistryError,
        SpecError,
        StoreError,
        UnknownArgumentError,
        UsageError,
        WaitError,
    )
    from mydocker.pytest_plugin import fixture
    from mydocker.results import (
        BatchError,
        BatchResult,
        BytesOutcome,
        CaseFailure,
        CaseResult,
        ContainerError,
        Image,
        Outcome,
    )
    from mydocker.specs.model import ContainerSpec

__all__ = [
    "ArgumentTypeError",
    "BatchError",
    "BatchResult",
    "BytesOutcome",
    "CaseFailure",
    "CaseResult",
    "CommandNotExecutableError",
    "CommandNotFoundError",
    "Container",
    "ContainerError",
    "ContainerSpec",
    "HostError",
    "Image",
    "ImageError",
    "ImageNotFoundError",
    "LaunchError",
    "MydockerError",
    "NetworkError",
    "Outcome",
    "RegistryError",
    "SpecError",
    "StoreError",
    "UnknownArgumentError",
    "UsageError",
    "WaitError",
    "fixture",
    "load",
    "pull",
    "run",
    "run_async",
    "start",
    "test",
]


_RESULTS = (
    "BatchError",
    "BatchResult",
    "BytesOutcome",
    "CaseFailure",
    "CaseResult",
    "ContainerError",
    "Image",
    "Outcome",
)


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'mydocker' has no attribute {name!r}")
    others = "mydocker.errors" if name.endswith("Error") else "mydocker.api"
    module = "mydocker.results" if name in _RESULTS else others
    module = "mydocker.pytest_plugin" if name == "fixture" else module
    value: object = getattr(__import__(module, fromlist=["api"]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
