"""Where the commands differ: command -> test -> why. Each is expected to fail.

KNOWN is strict: when a difference is gone, so must be its line. What DEPENDS holds for some versions of a command, or
for machines that grant less than all capabilities or have cgroup v1; elsewhere those tests pass.
"""

from __future__ import annotations

MISMATCHES = ("a file over a directory", "a directory over a file", "below a file")
LENIENT = "its filter lets programs make containers of their own"
LENIENTLY = ["unshare 0", "unshare 0x10000000", "mount", "keyctl 0", "add_key", "setns 0 0", "clone3 0 0"]
LENIENTLY += ["clone 0x10000000", "personality 0x40000", "socket 40 1 0"]

# flags that Podman 4.3 takes with an empty value, where Docker refuses that
TAKEN = ["memory", "memory-swap", "env", "env-file", "label-file", "shm-size", "device", "cap-add", "cap-drop"]
TAKEN += ["sysctl", "ulimit", "group-add", "add-host"]

UPPER = "what lies in the upper directory is listed, changed or not, without the directories above it"
LISTED = [
    "a copy in its place",
    "a directory in the place of a file",
    "a directory in the place of a link",
    "a directory removed and made",
    "a directory removed and made as another",
    "a directory removed and some of it made",
    "a directory renamed and back",
    "a fifo in the place of a file",
    "a group",
    "a link in the place of a file",
    "a mode",
    "a name on two lines",
    "a new name of a file",
    "a setuid bit",
    "a time",
    "an attribute",
    "an attribute of a directory",
    "an empty directory removed and made",
    "an owner",
    "another device",
    "another mode and back",
    "another owner and back",
    "contents",
    "contents of the same size and time",
    "directories of several layers removed and made",
    "linked and unlinked",
    "locked",
    "made and removed",
    "one name of two",
    "opened for writing",
    "removed in a directory that was made again",
    "renamed and back",
    "the mode of a directory",
    "the mode of a directory at the top",
    "the mode of the root",
    "the owner of a directory",
    "the owner of a link",
    "the same device",
    "the target of a link",
    "the time of a directory",
    "what an opaque layer had hidden",
]
MOUNT_POINTS = "the places that something is mounted on are listed as well"
MOUNTED = [
    "a volume",
    "a volume next to a new file",
    "a file",
    "a volume below a link",
    "a tmpfs",
    "an unused working directory",
]

TOO_FEW = ("exec", "exec nonesuch", "exec -it nonesuch")
ABOUT_NONE = [
    *("logs", "logs -f", "port", "attach", "diff", "top", "start", "stop", "kill", "wait", "restart", "pause"),
    *("rename {} x", "cp {}:/x .", "exec {} true", "commit {} x", "export {} -o x"),
]
NO_FIELD = (
    "{{.Config.Cmd}} {{.Config.Entrypoint}} {{.Config.OnBuild}}",
    "{{if .Config.Healthcheck}}yes{{else}}no{{end}}",
)
IN_EXEC = ("no such user", "no such group", "no such working directory", "a relative working directory", "no terminal")

OF_THE_OTHER = ("-h box", "-p 80", "-P", "--expose 80")
ADDRESSES = ("an address of another network", "the gateway's", "an address in use")
PORTS = ("all addresses", "one address", "loopback", "UDP")
CLIENTS = ("the host's loopback", "the host", "another machine")

KNOWN: dict[str, dict[str, str]] = {
    "mydocker": {
        "test_a_harmless_node_of_its_own_opens": "the root is nodev, for want of a device cgroup on all hosts",
    },
    "docker": {
        "test_diff[an attribute]": "of all attributes, only capabilities count",
        "test_diff[an attribute of a directory]": "of all attributes, only capabilities count",
        "test_diff[contents of the same size and time]": "contents are not compared",
        "test_diff[the mode of the root]": "the root itself is never listed",
        "test_diff[names that are not UTF-8]": "U+FFFD",
        "test_diff[a name on two lines]": "printed as it is, on two lines",
        **{f"test_diff_of_mount_points[{case}]": MOUNT_POINTS for case in MOUNTED},
        "test_a_missing_volume_source_is_an_error": "it is made, and belongs to root",
        "test_no_device_opens_on_the_root": "a device cgroup does that",
        "test_the_container_knows_its_own_name": "only with a network",
        "test_the_root_directory": "/.dockerenv",
        "test_network[the largest packet]": "1500, unless the daemon's --mtu says otherwise",
        "test_name_servers[--dns on loopback]": "a warning",
        "test_a_network[--internal]": "a default route that leads nowhere",
        "test_an_address_of_the_default_network": "another address, without a word",
        "test_a_setting_of_the_other_containers_network[--ip 10.1.2.3]": "without a word",
        "test_a_port_that_is_none[80:0]": "without a word",
    },
    "podman": {
        **{f"test_system_calls[-{call}]": LENIENT for call in LENIENTLY},
        "test_capabilities[-u nobody --cap-add NET_ADMIN]": "what is added is given to a user, too",
        "test_mount[/dev/shm]": "64000k",
        "test_seen[no --shm-size]": "64000k",
        "test_mount[/etc/resolv.conf]": "none without a network",
        "test_etc[modes]": "no resolv.conf without a network",
        "test_seen[--dns]": "not without a network",
        "test_seen[--tmpfs and access times]": "no strictatime",
        "test_no_device_opens_on_the_root": "a device cgroup does that",
        "test_nothing_else_is_mounted": "/run/.containerenv and secrets",
        "test_etc[localhost in IPv6]": "127.0.0.1 only",
        "test_etc[groups of IPv6]": "no names of IPv6",
        "test_etc[hostname ends a line]": "the name alone",
        "test_the_name_is_the_short_id": "the name alone, so that $HOSTNAME is on the same line",
        "test_seen[HOSTNAME]": "the name alone",
        "test_the_root_directory": "mode 555",
        "test_found[the root is open]": "mode 555",
        "test_found[the root is open with a volume]": "mode 555",
        "test_found[low ports]": "the kernel's",
        "test_found[pings]": "the kernel's",
        "test_with_the_hosts_network_the_name_is_the_hosts": "/etc/hostname has no end of line",
        **{f"test_an_empty_value[--{flag}]": "not given, or an empty one" for flag in TAKEN},
        "test_a_long_host_name[65 letters]": "126",
        **{f"test_a_volume_that_does_not_fit[{name}]": "126" for name in MISMATCHES},
        "test_seen[an empty group of a number]": "gid 0, and no other groups",
        "test_seen[no TERM]": "always xterm",
        "test_environment_is_clean": "TERM and container=podman",
        "test_exit_code[no such user]": "126",
        "test_exit_code[no such group]": "126",
        "test_exit_code[a relative workdir]": "126",
        "test_exit_code[a user number too large]": "126",
        "test_exit_code[a negative user number]": "126",
        "test_seen[a new workdir]": "it is not made",
        "test_seen[--tmpfs]": "not noexec",
        "test_init_passes_on_the_exit_code": "its init ends with 1 where there is no such command",
        "test_a_name_alone_unsets_what_the_image_sets": "the image's stays",
        "test_env_file[a mark of byte order]": "taken for a part of the name",
        "test_env_file_refused[white space]": "allowed",
        "test_env_file_refused[not UTF-8]": "allowed",
        "test_a_terminal_needs_one_for_input": "a warning",
        **{f"test_too_few_arguments[{words}]": "125" for words in TOO_FEW},
        **{f"test_a_container_that_is_not_there[{words}]": "125" for words in ABOUT_NONE},
        **{f"test_exit_code_of_exec[{case}]": "other codes" for case in IN_EXEC},
        "test_seen[a name with a slash]": "not taken",
        "test_seen[--log-opt without effect]": "not taken",
        "test_seen[--isolation default]": "no such option",
        "test_seen[--volume-driver local]": "no such option",
        "test_the_order_of_variables": "by name",
        **{f"test_a_template_of_what_an_image_lacks[{text}]": "no such field" for text in NO_FIELD},
        "test_an_image_is_shown_as_it_was_written[no tag]": "its name is completed",
        "test_templates_of_what_a_container_lacks": "Entrypoint is a text, Health a structure",
        **{f"test_exit_code[an OOM score too {way}]": "126" for way in ("high", "low")},
        **{f"test_seen[--domainname{case}]": "no such option" for case in ("", ", empty", " and --hostname")},
        "test_an_empty_value[--domainname]": "no such option",
        **{f"test_seen[--dns-search{case}]": "not without a network" for case in ("", ", none", ", none and one")},
        **{f"test_seen[{flags}]": "not without a network" for flags in ("--dns-option", "--dns and --dns-search")},
        "test_an_empty_value[--dns-option]": "not without a network",
        "test_an_empty_value[--attach]": "a mistake",
        "test_the_file_for_the_id": "in other words",
        "test_network[the largest packet]": "1500",
        "test_network[no IPv6]": "addresses of the link",
        "test_network[names]": "the container's own name as well",
        "test_network[--domainname]": "no such option",
        "test_name_servers[--dns-search]": "the host's domains as well",
        "test_the_network_of_another_container": "a host name of its own",
        **{f"test_a_setting_of_the_other_containers_network[{words}]": "without a word" for words in OF_THE_OTHER},
        **{f"test_an_address_that_is_refused[{case}]": "126" for case in ADDRESSES},
        "test_networks_of_the_user": "the name instead of the ID",
        **{f"test_formats[{case}]": "other keys" for case in ("a nested field", "a range", "containers")},
        **{f"test_a_port_in_use[{case}]": "126" for case in PORTS},
        "test_a_port_of_another_container": "126",
        "test_port[all addresses]": "IPv4 only",
        "test_port[all that is exposed]": "IPv4 only",
        **{f"test_who_is_seen[{client} by IPv6-{kind}]": "nobody" for client in CLIENTS for kind in ("TCP", "UDP")},
        **{f"test_diff[{case}]": UPPER for case in LISTED},
        **{f"test_diff_of_mount_points[{case}]": MOUNT_POINTS for case in [*MOUNTED, "a working directory"]},
    },
}

OLD_DOCKER = "not before Docker 23"
CAPABILITIES = "runc cannot set capabilities that it does not know or that this machine lacks"
WITHOUT_FILTER = "answers come from another address where bridges are not filtered (br_netfilter)"
EARLY = "Podman 4.3 forwards signals only some time after the command runs; what comes before that is lost"
DEPENDS: dict[str, dict[str, str]] = {
    "docker": {
        "test_process[a cgroup namespace]": "none on cgroup v1",
        "test_system_calls[-socket 40 1 0]": OLD_DOCKER,
        "test_etc[localhost in IPv6]": "since Docker 26, not without IPv6",
        "test_etc[groups of IPv6]": "since Docker 26, not without IPv6",
        "test_a_relative_volume": OLD_DOCKER,
        "test_an_empty_value[--volume]": OLD_DOCKER,
        "test_privileged_with_the_hosts_dev_opens_its_devices": CAPABILITIES,
        "test_masked[/proc/interrupts]": "not before Docker 28",
        "test_exit_code_of_other_images[text is not executable]": "1 or 255, by the version of runc",
        "test_privileged_has_no_masked_paths[/proc/sys]": CAPABILITIES,
        "test_privileged_has_no_masked_paths[/proc/keys]": CAPABILITIES,
        "test_privileged_has_no_masked_paths[/sys/firmware]": CAPABILITIES,
        "test_privileged_may_write_to_sysfs": CAPABILITIES,
        "test_capabilities[--cap-add ALL]": CAPABILITIES,
        "test_capabilities[--cap-add ALL --cap-drop cap_mknod]": CAPABILITIES,
        "test_capabilities[--privileged]": CAPABILITIES,
        "test_capabilities[--privileged -u nobody]": CAPABILITIES,
        "test_filter[--privileged]": CAPABILITIES,
        "test_system_calls[--privileged-unshare 0]": CAPABILITIES,
        **{f"test_port[all {what}]": "[::] is ::: before Docker 27" for what in ("addresses", "that is exposed")},
        "test_who_is_seen[another container-UDP]": WITHOUT_FILTER,
        "test_who_is_seen[the container itself-UDP]": WITHOUT_FILTER,
    },
    "podman": {
        "test_process[a cgroup namespace]": "none on cgroup v1",
        "test_masked[/proc/interrupts]": "not before Podman 5",
        "test_exit_code_of_other_images[text is not executable]": "1 or 255, by the version of runc",
        "test_seen[--ulimit]": CAPABILITIES,
        "test_seen[--ulimit once]": CAPABILITIES,
        "test_network[--add-host host-gateway]": "not before Podman 4.7",
        "test_a_network[the largest packet]": "not before Podman 4.8",
        "test_names_of_a_network": "not without the plugin dnsname, or netavark and aardvark-dns",
        "test_attached_streams[-a stdin -a stdout]": "on a busy machine it may end before it has read the output",
        "test_signals_are_forwarded[HUP]": "it ends podman, unless the container is faster",
        **{f"test_signals_are_forwarded[{name}]": EARLY for name in ("TERM", "INT", "USR1")},
    },
}
