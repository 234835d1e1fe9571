"""The images of containers whose files say how they are built: pulled or built before anything starts.

The rules are those of the Compose specification ("pull_policy", and "Using build and image"): an image that is not
there is pulled if the file gives it a name, and built if that fails; `pull_policy: build` always builds.
"""

from __future__ import annotations

from mydocker.errors import ImageError, ImageNotFoundError, Problem, SpecError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.reference import Platform
from mydocker.runtime.build.image import build_image
from mydocker.runtime.launch import get_image, refuse_other_system
from mydocker.services.project.plan import is_only_built
from mydocker.specs.model.build import SERVICE, name_in_builder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mydocker.image.model import StoredImage
    from mydocker.image.model.progress import Step
    from mydocker.image.store import Store
    from mydocker.reference import Reference
    from mydocker.specs.model.build import Build
    from mydocker.specs.model.case import CaseSpec

BUILD = "build"  # the pull policy


class ImageOptions(Record):
    """What a command line says: `always` builds whatever is there, `never` builds nothing; the rest is about each
    build. `every_platform`: all that `platforms` has, and not only the one that containers here need."""

    always: bool = False
    never: bool = False
    every_platform: bool = False
    builder: str = ""
    offline: bool = False
    no_cache: bool = False
    pull: bool = False
    args: Mapping[str, str] = {}


class ImageMaker:
    """Builds images of CASES, which are all of a load, each once. SAY gets what the builder writes, and news."""

    def __init__(
        self,
        cases: Sequence[CaseSpec],
        options: ImageOptions,
        *,
        store: Store,
        environ: Mapping[str, str],
        say: Callable[[str], None],
        progress: Callable[[Step], None] | None = None,
    ) -> None:
        self.options, self.store, self.environ = options, store, environ
        self.say, self.progress = say, progress
        self._services = {case.service.name: case for case in cases if case.service}
        self._done: list[tuple[Reference, Build]] = []

    def with_images(self, cases: Sequence[CaseSpec]) -> list[CaseSpec]:
        """CASES, with the images that are built in the store. Raises MydockerError as `build_image` does."""
        return [self._with_image(case) for case in cases]

    def lacks(self, case: CaseSpec) -> bool:
        """Whether the image of CASE is built, and is not in the store."""
        return bool(case.build and not self._here(case))

    def build(self, case: CaseSpec, *, within: tuple[str, ...] = ()) -> None:
        """Build the image of CASE. WITHIN: the services whose builds need this one."""
        name, build = case.container.image, case.build
        assert name and build
        if (name, build) in self._done:
            return
        settled = self._with_services(build, within)
        for platform in self._platforms(case):
            self.say(f"building {name.familiar}" + (f" for {platform}" if platform else ""))
            build_image(
                settled.replace(
                    args={**build.args, **self.options.args},
                    no_cache=build.no_cache or self.options.no_cache,
                    pull=build.pull or self.options.pull,
                ),
                name,
                store=self.store,
                environ=self.environ,
                platform=platform,
                builder=self.options.builder,
                output=self.say,
                offline=self.options.offline,
            )
        self._done.append((name, build))

    def _with_image(self, case: CaseSpec) -> CaseSpec:
        container = case.container
        if not case.build or not container.image:
            return case
        refuse_other_system(container)
        if self.options.never:
            if is_only_built(case) and not self._here(case):
                message = f"image {container.image.familiar} is not in the store, and is not built with --no-build"
                raise ImageNotFoundError(message, hint="'mydocker compose build' builds it")
            if container.pull_policy != BUILD:
                return case
        elif self._is_to_be_built(case):
            self.build(case)
        return case.replace(container=container.replace(pull_policy="missing"))  # it is there

    def _is_to_be_built(self, case: CaseSpec) -> bool:
        policy, image = case.container.pull_policy, case.container.image
        assert image
        if self.options.always or policy == BUILD:
            return True
        here = self._here(case)
        if policy == "never" or is_only_built(case) or (here and policy == "missing"):
            return not here
        try:
            get_image(case.container, store=self.store, environ=self.environ, progress=self.progress)
            return False
        except ImageError as error:
            self.say(f"image {image.familiar} cannot be pulled ({error.message})")
            return not here

    def _here(self, case: CaseSpec) -> StoredImage | None:
        container = case.container
        return self.store.find(container.image, container.platform or Platform.host()) if container.image else None

    def _platforms(self, case: CaseSpec) -> tuple[Platform | None, ...]:
        """The platforms to build for; None is the builder's own."""
        own, listed = case.container.platform, case.build.platforms if case.build else ()
        if self.options.every_platform and listed:
            return listed
        wanted = own or Platform.host()
        if listed and wanted not in listed and case.build:
            message = f"platforms does not have {wanted}, for which the container is"
            raise SpecError([Problem(origin=case.build.origin, message=message)])
        return (own or (wanted if listed else None),)

    def _with_services(self, build: Build, within: tuple[str, ...]) -> Build:
        """BUILD with the images of services in place of these, which are built first."""
        found = {}
        for name, place in build.additional_contexts.items():
            service = place.removeprefix(SERVICE)
            case = self._services.get(service) if place.startswith(SERVICE) else None
            if case and case.build and case.container.image:
                if service in within:
                    message = f"additional context {name}: the build of {service!r} needs itself"
                    raise SpecError([Problem(origin=build.origin, message=message)])
                self.build(case, within=(*within, service))
            found[name] = (
                f"docker-image://{name_in_builder(case.container.image)}" if case and case.container.image else place
            )
        return build.replace(additional_contexts=found)
