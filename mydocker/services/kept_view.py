"""The view of a container that runs, kept by its keeper for those who ask."""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect.container_view import ContainerView, ViewReceiver, received

if TYPE_CHECKING:
    from mydocker.runtime.command.outcome import Outcome
    from mydocker.runtime.plan import LaunchPlan


class KeptView(ViewReceiver):
    """The descriptors of the container that runs, for as long as it does."""

    def __init__(self, plan: LaunchPlan) -> None:
        super().__init__(lambda view: None)
        self.kinds += tuple(kind for kind in plan.separate_namespaces if kind not in self.kinds)
        self.view: ContainerView | None = None

    def take(self, plan: LaunchPlan) -> None:
        """The child has sent them."""
        for root, scratch, process, begun, *namespaces in received(self.receiver):
            separate = dict(zip(self.kinds, namespaces, strict=True))
            for kind in separate.keys() - {*plan.separate_namespaces}:
                os.close(separate.pop(kind))
            self.view = ContainerView(
                root=root, scratch=scratch, process=process, begun=begun, namespaces=separate, plan=plan
            )

    def use(self, plan: LaunchPlan, outcome: Outcome) -> None:
        self.close_view()

    def close_view(self) -> None:
        """Release the container's mounts and namespaces."""
        view, self.view = self.view, None
        if view:
            for descriptor in (view.root, view.scratch, view.process, view.begun, *view.namespaces.values()):
                os.close(descriptor)
