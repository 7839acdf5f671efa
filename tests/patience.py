"""How long tests wait for what hangs: far longer than anything takes on a machine that is busy otherwise."""

SECONDS = 600
