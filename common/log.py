"""The logger of the library. Without a handler it prints warnings only, and it leaves the root logger to the program."""

import logging

logger = logging.getLogger("quartet")
