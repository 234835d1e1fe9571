"""A pull for a Python program, in a fresh process: it forks for each layer, and the program may have
threads.
"""

from __future__ import annotations

import os

from mydocker.errors import HostError, MydockerError, refused_by_host
from mydocker.image.resolve import resolve
from mydocker.image.store import Store
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Platform, Reference
from mydocker.services.workers import interpreter
from mydocker.services.workers.worker import settle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from mydocker.image.model import StoredImage


def pull_image(reference: Reference, platform: Platform, *, environ: Mapping[str, str]) -> StoredImage:
    """Fetch what REFERENCE means now. Raises ImageError, or HostError if the process can't be started or is killed."""
    process = interpreter.start(__name__, (reference, platform), environ=environ, capture=False, stdin=False)
    result: StoredImage | MydockerError | None = interpreter.receive(process)
    if result is None:
        raise HostError("the pull was killed before it reported a result")
    if isinstance(result, MydockerError):
        raise result
    return result


def work_on(content: tuple[Reference, Platform], parent: int) -> NoReturn:
    """Be the process."""
    try:
        settle(parent)
        interpreter.reply(_result(*content))
    finally:
        os._exit(0)


def _result(reference: Reference, platform: Platform) -> StoredImage | MydockerError:
    try:
        return resolve(reference, platform=platform, policy="always", store=Store.open(os.environ), environ=os.environ)
    except MydockerError as error:
        return error
    except OSError as error:
        return refused_by_host(error)
    except Exception as error:  # a defect, reported to the user
        return HostError(f"the pull failed: {type(error).__name__}: {error}")
