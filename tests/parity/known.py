"""Where the commands differ: command -> test -> why. Each is expected to fail.

KNOWN is strict: when a difference is gone, so must be its line. What DEPENDS holds for some versions of a command, or
for machines that grant less than all capabilities or have cgroup v1; elsewhere those tests pass.
"""

from __future__ import annotations

KNOWN: dict[str, dict[str, str]] = {
    "mydocker": {
        "test_a_harmless_node_of_its_own_opens": "the root is nodev, for want of a device cgroup on all hosts",
        "test_etc[mtab]": "an image's /etc gets no link that it does not have",
    },
    "docker": {
        "test_a_missing_volume_source_is_an_error": "it is made, and belongs to root",
        "test_no_device_opens_on_the_root": "a device cgroup does that",
        "test_the_container_knows_its_own_name": "only with a network",
        "test_the_root_directory": "/.dockerenv",
    },
    "podman": {},
}

OLD_DOCKER = "not before Docker 23"
CAPABILITIES = "runc cannot set capabilities that it does not know or that this machine lacks"
DEPENDS: dict[str, dict[str, str]] = {
    "docker": {
        "test_process[a cgroup namespace]": "none on cgroup v1",
        "test_system_calls[-socket 40 1 0]": OLD_DOCKER,
        "test_a_relative_volume": OLD_DOCKER,
        "test_masked[/proc/interrupts]": "not before Docker 28",
        "test_masked[/sys/devices/virtual/powercap]": "not before Docker 24",
        "test_exit_code_of_other_images[text is not executable]": "1 or 255, by the version of runc",
        "test_privileged_has_no_walls[/proc/sys]": CAPABILITIES,
        "test_privileged_has_no_walls[/proc/keys]": CAPABILITIES,
        "test_privileged_has_no_walls[/sys/firmware]": CAPABILITIES,
        "test_privileged_may_write_to_sysfs": CAPABILITIES,
        "test_capabilities[--cap-add ALL]": CAPABILITIES,
        "test_capabilities[--cap-add ALL --cap-drop cap_mknod]": CAPABILITIES,
        "test_capabilities[--privileged]": CAPABILITIES,
        "test_capabilities[--privileged -u nobody]": CAPABILITIES,
        "test_filter[--privileged]": CAPABILITIES,
        "test_system_calls[--privileged-unshare 0]": CAPABILITIES,
    },
}
