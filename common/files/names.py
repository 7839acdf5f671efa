"""Normalized names of files and folders."""

import unicodedata

# Unicode categories of control characters, surrogates (undecodable bytes) and line separators.
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")


def plain_name(name: str) -> str:
    """Normalize the name of a file or folder for comparison and display: composed (NFC), on one line.

    Control characters and bytes that are not UTF-8 are escaped.

    Example:
        >>> plain_name("cafe\\u0301"), plain_name("caf\\udce9"), plain_name("two\\nlines")
        ('café', 'caf\\\\xe9', 'two\\\\nlines')
    """
    if name.isascii() and name.isprintable():
        return name
    name = unicodedata.normalize("NFC", name)
    return "".join(_escaped(letter) if unicodedata.category(letter) in _UNPRINTABLE else letter for letter in name)


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()
