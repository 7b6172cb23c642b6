"""Entry point of `python -m portrait18`."""

import sys

from portrait18.cli import main

if __name__ == "__main__":
    sys.exit(main())
