import sys

from portrait18.deployment.cli import main

if __name__ == "__main__":
    sys.exit(main())
