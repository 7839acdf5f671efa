"""Start and end of every entry point: flags, help, logging, errors in one line."""

import errno
import logging
import re
import sys
import textwrap
from collections.abc import Callable, Sequence

from absl import flags

from common import config as configs
from common import files, former_names, interruption, streams
from common.cli import tensorflow_errors
from common.config import FlagValues
from common.errors import UserError, nearest

# Errors of the system about a path, with a hint for each.
_WRONG_PATHS = {
    errno.ENAMETOOLONG: "give a shorter one",
    errno.ENOTDIR: "a file is where a folder was expected: give another path",
    errno.EISDIR: "a folder is where a file was expected: give another path",
    errno.EEXIST: "a file is where a folder was expected: give another path",
    errno.ELOOP: "its links form a loop: give another path",
}
# The column in which the help of a flag begins, and the width of the page.
_HELP_COLUMN, _HELP_WIDTH = 28, 110


def run(
    main: Callable[[FlagValues, Sequence[str]], None],
    define_flags: Callable[[FlagValues], None],
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse the command line, call `main`, and print errors as one line.

    Args:
        main: Takes the parsed flags and the positional arguments.
        define_flags: Adds the entry point's flags to the values it is given.
        arguments: The command line without the program's name; `sys.argv` unless given.

    Returns:
        The exit code: 0, 2 for an error that the user can fix, 130 after Ctrl-C, 143 after SIGTERM. Other exceptions
        pass through.
    """
    streams.open_closed()
    streams.prepare()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    program = f"python -m {_module_name(main)}"
    flag_values = FlagValues()
    flags.DEFINE_bool("help", False, "show this text and stop", short_name="h", flag_values=flag_values)
    define_flags(flag_values)
    code = _explained(lambda: _call(main, program, flag_values, arguments), program, flag_values)
    # Write buffered output here: at exit Python would print a traceback if that failed.
    return _explained(_flush, program, flag_values) or code


def _call(
    main: Callable[[FlagValues, Sequence[str]], None],
    program: str,
    flag_values: FlagValues,
    arguments: Sequence[str] | None,
) -> None:
    with interruption.raising():
        positional = flag_values([program, *(sys.argv[1:] if arguments is None else arguments)])[1:]
        if flag_values.help:
            print(help_text(program, sys.modules[main.__module__].__doc__ or "", flag_values))
            return
        configs.understand(flag_values)
        former_names.tell(flag_values)
        main(flag_values, positional)


def _explained(work: Callable[[], None], program: str, flag_values: FlagValues) -> int:
    """Call `work`, print an error as one line, and return the exit code."""
    try:
        work()
    except flags.IllegalFlagValueError as error:
        return _fail(_wrong_value(error, flag_values))
    except flags.Error as error:
        # absl words it "Did you mean: epochs ?"
        return _fail(str(error).replace(" ?", "?"), f"{program} --help lists the flags")
    except UserError as error:
        return _fail(_naming_flags(error.command_line, flag_values))
    except KeyboardInterrupt as error:
        interruption.tell()
        return error.exit_code if isinstance(error, interruption.Interrupted) else 130
    except BrokenPipeError:
        # The reader of the output has closed it, such as `head`.
        streams.drop_output()
        return 0
    except Exception as error:
        line = _known(error)
        if line is None:
            raise
        if streams.refused(error):
            streams.drop_output()
        return _fail(line)
    return 0


def _wrong_value(error: flags.IllegalFlagValueError, flag_values: FlagValues) -> str:
    """Return the line for a value that a flag does not take, which absl words in the terms of Python."""
    found = re.match(r"flag --(\w+)=(.*?): ", str(error), re.DOTALL)
    if found is None:
        return str(error)
    name, value = found.groups()
    parser = flag_values[name].parser
    choices = getattr(parser, "enum_values", ())
    if choices:
        expected = f"one of {', '.join(choices)}"
    else:
        expected = "true or false" if flag_values[name].boolean else parser.syntactic_help
    return f"--{name}: expected {expected}, got {value!r}.{nearest(value, choices)}"


def _naming_flags(message: str, flag_values: FlagValues) -> str:
    """Put dashes before the name of an argument that is also a flag of the command."""
    name = message.partition(":")[0]
    return f"--{message}" if name in flag_values else message


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        streams.drop_output()
        raise


def _known(error: Exception) -> str | None:
    """Return the line for an exception of another library that the user can fix; None for a bug."""
    explained = tensorflow_errors.explain(error)
    if explained is not None:
        return explained.command_line
    reason = files.refusal(error)
    if reason is not None:
        return f"{_refused_path(error, reason)}: {reason}; free some space or choose another folder"
    if isinstance(error, OSError) and error.errno in _WRONG_PATHS:
        return f"{error.filename or 'a path'}: {error.strerror}; {_WRONG_PATHS[error.errno]}"
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        # The text that could not be encoded may be a whole table.
        name = error.object[max(0, error.start - 60) : error.end + 60]
        return f"{name!r} holds bytes that are not UTF-8; rename the file or folder"
    return None


def _refused_path(error: Exception, reason: str) -> str:
    """Return the file that an error is about; TensorFlow puts it before the reason."""
    named = re.search(rf"(\S+); {re.escape(reason)}", str(error))
    return named[1] if named else getattr(error, "filename", None) or "a file"


def refuse_arguments(arguments: Sequence[str]) -> None:
    """Refuse positional arguments of an entry point that takes none.

    Raises:
        UserError: There are some; most often a flag without its dashes.
    """
    if arguments:
        raise UserError(f'unexpected "{arguments[0]}"; flags are written --name=value')


def help_text(program: str, purpose: str, flag_values: FlagValues) -> str:
    """Lay out `--help`: the purpose, then the flags by group, in the order of their definition."""
    lines = [purpose.strip(), "", f"Flags of {program}:"]
    by_module = flag_values.flags_by_module_dict()
    grouped = {flag for group in configs.GROUPS for flag in by_module.get(group, ())}
    # Every entry point has its own FlagValues: all modules in it declare flags of this command.
    all_flags = dict.fromkeys(flag for module in by_module.values() for flag in module)
    for group in ("", *configs.GROUPS):
        members = by_module.get(group, ()) if group else [flag for flag in all_flags if flag not in grouped]
        members = [flag for flag in members if not _hidden(flag, flag_values)]
        if members and group:
            lines += ["", f"{group.capitalize()}:"]
        lines += map(_flag_lines, members)
    return "\n".join(lines)


def _hidden(flag: flags.Flag, flag_values: FlagValues) -> bool:
    return flag.name == "help" or former_names.is_former(flag_values, flag.name)


def _flag_lines(flag: flags.Flag) -> str:
    """Return the name of a flag and its help, beside it where the name leaves room."""
    name = f"  --[no]{flag.name}" if flag.boolean else f"  --{flag.name}"
    indent = " " * _HELP_COLUMN
    text = textwrap.fill(_flag_help(flag), _HELP_WIDTH, initial_indent=indent, subsequent_indent=indent)
    if len(name) + 2 > _HELP_COLUMN:
        return f"{name}\n{text}"
    return name.ljust(_HELP_COLUMN) + text[_HELP_COLUMN:]


def _flag_help(flag: flags.Flag) -> str:
    """Return the help of a flag with its default, which fields of a configuration already include."""
    help = re.sub(r"^<[^>]*>: ", "", flag.help)  # absl puts the values of an enumeration first
    if flag.default in (None, "") or "(default" in help:
        return help
    return f"{help} (default {str(flag.default_as_str).strip(chr(39))})"


def _module_name(function: Callable) -> str:
    """Return the dotted name of the module that `function` is in, also where it runs as `__main__`."""
    module = sys.modules[function.__module__]
    return module.__spec__.name if getattr(module, "__spec__", None) else module.__name__


def _fail(message: str, hint: str = "") -> int:
    line = " ".join(message.split())
    print(f"error: {line}{f'; {hint}' if hint else ''}", file=sys.stderr)
    return 2
