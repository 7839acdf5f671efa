"""Names of files and folders, and of what they stand for."""

import unicodedata

# Characters that would break a line, or are bytes of no encoding.
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")


def plain_name(name: str) -> str:
    """Return a name of a file or folder as it is compared and shown: composed (NFC), on one line.

    Bytes that are no UTF-8 and control characters are shown by their codes.

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
