"""The commands, a row each: their names, the overview, and the sentence that each command's own help begins with.

The command NAME is the function `NAME_command` in mydocker/cli/commands/NAME.py.
"""

from __future__ import annotations

from mydocker.record import Record


class Command(Record):
    """`usage` is what follows the name; `summary` has no full stop."""

    name: str
    usage: tuple[str, ...]
    summary: str
    group: str


def _rows(group: str, *rows: tuple[str, str, str]) -> tuple[Command, ...]:
    return tuple(Command(name=name, usage=(usage,), summary=summary, group=group) for name, usage, summary in rows)


COMMANDS = {
    row.name: row
    for row in (
        Command(
            name="run",
            usage=("[OPTIONS] IMAGE [COMMAND [ARG...]]", "[OPTIONS] --rootfs DIR COMMAND [ARG...]"),
            summary="Run a command in a new container",
            group="containers",
        ),
        *_rows(
            "containers",
            (
                "up",
                "[OPTIONS] [FILE...]",
                "Run the services of a Compose file, or the containers of spec files",
            ),
            ("down", "[OPTIONS] [SERVICE...]", "Stop and remove the services of a Compose file"),
            ("compose", "[OPTIONS] COMMAND [ARG...]", "Run a command with the options that Compose has before it"),
            ("test", "[OPTIONS] PATH...", "Run spec files as a batch, and judge what their containers did"),
            ("report", "[OPTIONS] FILE...", "Put the results of the parts of a batch together"),
            ("record", "[-o FILE] [OPTIONS] IMAGE [COMMAND [ARG...]]", "Run a container, and write the spec of a test"),
            ("ps", "[OPTIONS]", "List containers"),
            ("logs", "[OPTIONS] CONTAINER", "Print what a container in the background has written"),
            ("create", "[OPTIONS] IMAGE [COMMAND [ARG...]]", "Create a container, and do not start it yet"),
            ("start", "[OPTIONS] CONTAINER...", "Start containers that have ended, or were created"),
            ("stop", "[OPTIONS] CONTAINER...", "Stop containers"),
            ("restart", "[OPTIONS] CONTAINER...", "Stop containers, and start them again"),
            ("kill", "[OPTIONS] CONTAINER...", "Send a signal to containers"),
            ("rm", "[OPTIONS] CONTAINER...", "Remove containers"),
            ("wait", "CONTAINER...", "Wait for the end of containers, and print their exit codes"),
            ("attach", "[OPTIONS] CONTAINER", "See what a container writes, and type into it"),
            ("rename", "CONTAINER NAME", "Give a container another name"),
            ("exec", "[OPTIONS] CONTAINER COMMAND [ARG...]", "Run a command in a running container"),
            ("cp", "[OPTIONS] SOURCE TARGET", "Copy files out of a container, or into it"),
            ("top", "CONTAINER [PS-OPTION...]", "List the processes of a running container"),
            ("stats", "[OPTIONS] [CONTAINER...]", "Show what running containers use"),
            ("pause", "CONTAINER...", "Stop all processes of running containers for a while"),
            ("unpause", "CONTAINER...", "Let paused containers go on"),
            ("port", "CONTAINER [PORT]", "Print where the ports of a running container are published"),
            ("diff", "[OPTIONS] [CONTAINER]", "Print what a container changed, or list those that are kept"),
            ("commit", "[OPTIONS] CONTAINER NAME", "Make an image of what a container changed"),
            ("export", "[OPTIONS] CONTAINER", "Write all files of a container to an archive"),
        ),
        *_rows(
            "spec files",
            ("check", "[OPTIONS] [PATH...]", "Validate spec files, and run nothing"),
            ("config", "[OPTIONS] [FILE...]", "Print spec files in their normal form, or another one"),
            ("explain", "[OPTIONS] [FILE...] | run ...", "Print the equivalent docker run line, or a shell script"),
            ("unit", "[OPTIONS] [FILE|NAME...]", "Print or install units of systemd that run containers"),
            ("lock", "[OPTIONS] PATH...", "Write the digests of the images of spec files to a lock file"),
            ("schema", "[OPTIONS]", "Print the JSON Schema of spec files, for editors"),
        ),
        *_rows(
            "images",
            ("build", "[OPTIONS] CONTEXT", "Build an image with the builder that the host has"),
            ("pull", "[OPTIONS] [IMAGE...]", "Pull images from their registries"),
            ("push", "[OPTIONS] IMAGE...", "Push images to their registries"),
            ("images", "[OPTIONS] [NAME]", "List the images in the store"),
            ("inspect", "[OPTIONS] NAME...", "Describe containers and images, as JSON"),
            ("history", "[OPTIONS] IMAGE", "Show how an image was built, the last step first"),
            ("tag", "[OPTIONS] IMAGE NAME", "Give an image another name"),
            ("rmi", "[OPTIONS] IMAGE...", "Remove images from the store"),
            ("save", "[OPTIONS] IMAGE...", "Write images to an archive or a directory"),
            ("load", "[OPTIONS]", "Read images from an archive or a directory"),
            ("login", "[OPTIONS] [REGISTRY]", "Store a user name and a password for a registry"),
            ("logout", "[REGISTRY]", "Remove the user name and the password for a registry"),
        ),
        *_rows(
            "the store and the host",
            ("network", "COMMAND", "List, create, inspect and remove networks, and connect containers"),
            ("volume", "COMMAND", "List, create, inspect and remove named volumes"),
            ("df", "[OPTIONS]", "Show the disk space that images, volumes and kept containers use"),
            ("prune", "[OPTIONS]", "Remove layers that no image uses, and what runs, pulls and tests left behind"),
            ("fsck", "[OPTIONS]", "Check every byte of the store"),
            ("doctor", "[OPTIONS]", "Check what containers can do on this host"),
            ("completion", "SHELL", "Print the completions for a shell: bash, zsh or fish"),
        ),
    )
}
NAMES = (*COMMANDS, "help", "version")  # these two are in the overview as flags
# about one container: what fails has the code 1, as with Docker
OF_CONTAINERS = ("attach", "commit", "cp", "diff", "export", "logs", "port", "rename", "top")
# whose exit codes are those of what they run
RUNNING = ("run", "up", "compose", "record", "exec", "start", "attach", "create")
