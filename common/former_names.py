"""Earlier names of flags: accepted, not listed by `--help`, and answered with the new name."""

from absl import flags

from common.log import logger

# How absl describes the alias of a flag.
_ALIAS = "Alias for --"


def define(flag_values: flags.FlagValues, former: str, name: str) -> None:
    """Accept an earlier name of a flag."""
    flags.DEFINE_alias(former, name, flag_values=flag_values)


def is_former(flag_values: flags.FlagValues, name: str) -> bool:
    """Whether a flag is an earlier name of another."""
    return flag_values[name].help.startswith(_ALIAS)


def tell(flag_values: flags.FlagValues) -> None:
    """Print the new name of every flag that was given by an earlier one."""
    for name in flag_values:
        if is_former(flag_values, name) and flag_values[name].present:
            new = flag_values[name].help.removeprefix(_ALIAS).removesuffix(".")
            logger.warning("--%s is now called --%s", name, new)
