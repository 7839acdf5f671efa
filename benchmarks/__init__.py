"""Measurements beside other implementations, in one run."""

from common import startup as startup
