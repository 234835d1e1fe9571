"""What a limit demands of cgroups, as values: files and what is written to them, in either version."""

from __future__ import annotations

from mydocker.record import Record


class Setting(Record):
    """VALUE to be written to FILE of a cgroup, or OTHER_VALUE to OTHER_FILE where the kernel has that instead; an
    `optional` one is passed over where it has neither."""

    file: str
    value: str
    optional: bool = False
    other_file: str = ""
    other_value: str = ""


class Demand(Record):
    """The settings of one controller in either version, and the limit's name for messages. `controller_v1` is its name
    in the older version, if that is another one."""

    controller: str
    controller_v1: str = ""
    limit: str
    v1: tuple[Setting, ...]
    v2: tuple[Setting, ...]

    def name(self, version: int) -> str:
        """What the controller is called in a hierarchy of VERSION."""
        return (version == 1 and self.controller_v1) or self.controller
