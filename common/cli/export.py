"""From the flags of an `export` command to the exported files."""

from collections.abc import Callable
from pathlib import Path

from common.config import FlagValues
from common.export import check_formats as check_formats


def export(export_run: Callable[..., dict], flags: FlagValues) -> None:
    """Export the run, and print the folder.

    Args:
        export_run: `export_run` of the task.
        flags: From `common.cli.flags.define_export_flags`.
    """
    names = ("corpus", "data_dir", "split", "shards_dir", "download")
    export_run(flags.run_dir, flags.formats, **{name: flags[name].value for name in names})
    print(f"written: {Path(flags.run_dir) / 'export'}")
