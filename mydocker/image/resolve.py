"""A reference becomes an image on disk: from the store if it is there, else from its registry."""

from __future__ import annotations

from mydocker.errors import ImageNotFoundError
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mydocker.image.model.progress import Step
    from mydocker.image.model.stored import StoredImage
    from mydocker.image.store.store import Store
    from mydocker.reference import Platform, Reference


def resolve(
    reference: Reference,
    *,
    platform: Platform,
    policy: str,
    store: Store,
    environ: Mapping[str, str],
    progress: Callable[[Step], None] | None = None,
) -> StoredImage:
    """The image that REFERENCE means on PLATFORM; or, as for `docker run`, the one here that has it for an ID.

    POLICY `missing` asks no registry if the store has it, `never` asks none at all, `always` asks and fetches what has
    changed. What lies in files is looked at each time. PROGRESS is told what is being fetched; perhaps from other
    threads, one at a time. No thread is left when this returns. Raises ImageError or one of its children, or HostError.
    """
    from_registry = reference.location is None
    if policy != "always" and from_registry and (image := store.find(reference, platform) or _of_id(store, reference)):
        return image
    if policy == "never" and from_registry:
        raise ImageNotFoundError(
            f"image {reference.familiar} for {platform} is not in the store",
            hint="pulling is off (--pull never, --offline); --pull missing fetches it",
        )
    from mydocker.image.model.progress import silence
    from mydocker.image.pull import pull

    return pull(reference, platform=platform, store=store, environ=environ, progress=progress or silence)


def _of_id(store: Store, reference: Reference) -> StoredImage | None:
    from mydocker.image.store import catalog

    return catalog.of_id(store, reference)
