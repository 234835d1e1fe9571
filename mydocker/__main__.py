"""`python -m mydocker`, and the `mydocker` console script."""

import sys

from mydocker.cli import main

if __name__ == "__main__":
    sys.exit(main())
