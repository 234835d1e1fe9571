"""`python -m mydocker` does what the `mydocker` command does."""

from mydocker.cli import entry

if __name__ == "__main__":
    entry()
