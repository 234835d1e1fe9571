"""What a process begins with: the `mydocker` command, and `python -m mydocker`."""

from mydocker import bytecode


def main() -> None:
    bytecode.find_directly()
    from mydocker.cli import entry  # by now found directly

    entry()


if __name__ == "__main__":
    main()
