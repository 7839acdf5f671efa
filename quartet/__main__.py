"""The command `quartet`: `quartet kws predict clip.wav`, from any folder."""

import sys

from common.cli import verbs

if __name__ == "__main__":
    sys.exit(verbs.run())
