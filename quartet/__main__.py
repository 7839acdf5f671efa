"""The `quartet` command, which works from any folder, e.g. `quartet kws predict clip.wav`."""

import sys

from common.cli import verbs

if __name__ == "__main__":
    sys.exit(verbs.run())
