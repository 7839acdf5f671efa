"""Measurements beside other implementations, in one run."""

from common import quiet as quiet
