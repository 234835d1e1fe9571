"""A reference becomes an image on disk: from the store if it is there, else from its registry."""

from __future__ import annotations

from mydocker.errors import ImageNotFoundError, RegistryError
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mydocker.image.model import StoredImage
    from mydocker.image.model.progress import Step
    from mydocker.image.registry.short_names import Alias
    from mydocker.image.store import Store
    from mydocker.reference import Platform, Reference


def resolve(
    reference: Reference,
    *,
    platform: Platform,
    policy: str,
    store: Store,
    environ: Mapping[str, str],
    progress: Callable[[Step], None] | None = None,
    age: float | None = None,
) -> StoredImage:
    """The image that REFERENCE means on PLATFORM; or, as for `docker run`, the one here that has it for an ID.

    POLICY `missing` asks no registry if the store has it, `never` asks none at all, `always` asks and fetches what has
    changed. AGE is for the policy `missing`: an image that was pulled more than so many seconds ago is pulled again.
    What is in files is read each time. PROGRESS gets each step of a pull; perhaps from other
    threads, one at a time. No thread is left when this returns. Raises ImageError or one of its children, or HostError.
    """
    if reference.is_file_system:
        return _in_file_system(reference, platform)
    if age is not None and _is_older(store, reference, platform, age):
        policy = "always"
    here = policy != "always" and reference.location is None
    if here and (image := store.find(reference, platform) or _of_id(store, reference)):
        return image
    if alias := _alias(reference, platform, store, environ):
        reference = alias.reference
        if here and (image := store.find(reference, platform)):
            return image
    if policy == "never" and reference.location is None:
        raise _not_here(reference, platform, store)
    from mydocker.image.model.progress import NOTE, Step, silence

    progress = progress or silence
    if alias:
        progress(Step(kind=NOTE, text=str(alias)))
    return _pulled(reference, platform, store, environ, progress)


def _pulled(
    reference: Reference,
    platform: Platform,
    store: Store,
    environ: Mapping[str, str],
    progress: Callable[[Step], None],
) -> StoredImage:
    from mydocker.image.pull import pull

    try:
        return pull(reference, platform=platform, store=store, environ=environ, progress=progress)
    except RegistryError as error:
        error.hint = _hint_on_ids(store, reference, platform) or error.hint
        raise


def _not_here(reference: Reference, platform: Platform, store: Store) -> ImageNotFoundError:
    return ImageNotFoundError(
        f"image {reference.familiar} for {platform} is not in the store",
        hint=_hint_on_ids(store, reference, platform)
        or "pulling is off (--pull never, --offline); --pull missing fetches it",
    )


def _hint_on_ids(store: Store, reference: Reference, platform: Platform) -> str:
    """What to do about an image that STORE has for other ids, perhaps because it was pulled on another machine."""
    from mydocker.image.store import catalog

    if not catalog.is_for_other_ids(store, reference, platform):
        return ""
    return (
        "the store has it for other ids than this machine's /etc/subuid and /etc/subgid grant: pull it on this machine"
    )


def _in_file_system(reference: Reference, platform: Platform) -> StoredImage:
    from mydocker.image.files import file_system

    return file_system.find(reference, platform)


def _alias(reference: Reference, platform: Platform, store: Store, environ: Mapping[str, str]) -> Alias | None:
    """The alias of a short name that STORE does not have."""
    if not reference.short_name or store.find(reference, platform):
        return None
    from mydocker.image.registry import short_names

    return short_names.find(reference, environ=environ)


def _is_older(store: Store, reference: Reference, platform: Platform, age: float) -> bool:
    """Whether what REFERENCE means was pulled more than AGE seconds ago, as far as STORE knows."""
    import calendar
    import time

    from mydocker.image.store import read_ref

    try:
        when = read_ref(store.ref_path(reference, platform)).when
        pulled = calendar.timegm(time.strptime(when, "%Y-%m-%dT%H:%M:%SZ"))
    except (OSError, ValueError):
        return False
    return time.time() - pulled > age


def _of_id(store: Store, reference: Reference) -> StoredImage | None:
    from mydocker.image.store import catalog

    return catalog.of_id(store, reference)
