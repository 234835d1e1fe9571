"""`mydocker --help` and `mydocker --version`."""

from __future__ import annotations

from mydocker import __version__

OVERVIEW = """\
Usage: mydocker COMMAND ...

Unit files for containers: pull an image, isolate a command and run it, with no daemon.

Commands:
  run [OPTIONS] IMAGE [COMMAND [ARG...]]   run one container
  up FILE...                               run the containers of spec files, in order
  test PATH...                             run spec files as a batch, and judge them
  diff [ID]                                what a container changed that was kept (--keep)
  check FILE...                            validate spec files, and run nothing
  record [OPTIONS] IMAGE [COMMAND...]      run a container, and write a spec that expects what held
  lock PATH...                             write down which images spec files mean, for --frozen
  config FILE...                           print spec files in their normal form
  schema                                   print what a spec file may hold, for editors
  explain FILE... | run ...                 print the equal docker run line

  pull IMAGE...                            fetch images from their registries
  push IMAGE...                            send images, or archives, to registries
  images                                   list the images that are here
  inspect IMAGE...                         describe images, as JSON
  history IMAGE                            how an image was made
  tag IMAGE NAME                           give an image one more name
  rmi IMAGE...                             remove images
  save -o FILE IMAGE...                    write images to an archive
  load -i FILE                             read images from an archive or a directory
  login, logout [REGISTRY]                 keep, or forget, a password for a registry
  prune                                    free the space of what no image needs
  fsck                                     check every byte of the store

  volume ls|create|inspect|rm|prune        named volumes
  doctor                                   try what this host can do for containers

  mydocker COMMAND --help                  all about one command
  mydocker --version                       the version"""


def help_command(name: str) -> int:
    """Print the overview, or with NAME `version` or `--version` the version; 0."""
    print(f"mydocker {__version__}" if name.endswith("version") else OVERVIEW)
    return 0
