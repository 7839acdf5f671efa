"""List the commands: `python -m kws`."""

import sys

from common.cli import verbs

if __name__ == "__main__":
    sys.exit(verbs.show("kws"))
