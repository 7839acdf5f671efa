"""Ways to damage JSON and tables so that they are still read, and mean something else."""

import csv
import io
import json
import random
from collections.abc import Iterator

_STRINGS = (
    "",
    " ",
    "\0",
    "\ud800",
    "../../evil",
    "/etc/passwd",
    "a" * 5000,
    "\x1b[2J",
    "nan",
    "inf",
    "-1",
    "1e999",
    "é" * 40,
)
_VALUES = (None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.5, -0.0, 1e308, [], {}, [[]], [None])
_LITERALS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e999",
    "9" * 5000,
    "1" + "0" * 400,
    "[" * 100_000,
    '{"a":' * 50_000,
)
_CELLS = (
    *_STRINGS,
    "1" * 400,
    "9" * 20,
    "-0",
    "0x10",
    "1,2",
    '"',
    "'",
    "=1+1",
    "F",
    "?",
    "train",
    "99999999999999999999",
    "1e5",
)


def replace_value(rng: random.Random, content: bytes) -> bytes:
    """Put another value, of any type, in place of one in a JSON text."""
    document = json.loads(content)
    places = [(None, None), *_places(document)]
    parent, key = rng.choice(places[1:] or places)
    value = rng.choice((rng.choice(_VALUES), rng.choice(_STRINGS), document))
    if parent is None:
        document = value
    elif rng.random() < 0.15 and isinstance(parent, dict):
        parent[rng.choice(_STRINGS)] = parent.pop(key)
    elif rng.random() < 0.15:
        del parent[key]
    else:
        # A copy, for a document inside itself has no end.
        parent[key] = json.loads(json.dumps(value))
    return json.dumps(document).encode()


def replace_literal(rng: random.Random, content: bytes) -> bytes:
    """Put a text that parsers stumble over in place of a number or word of a JSON text, or around it."""
    text = content.decode("utf-8", "replace")
    literal = rng.choice(_LITERALS)
    marks = [position for position, letter in enumerate(text) if letter in ":,"]
    if not marks or rng.random() < 0.1:
        return rng.choice((literal, "\ufeff" + text, "[" * 5000 + text + "]" * 5000, text + text)).encode()
    position = rng.choice(marks) + 1
    end = min((text.find(mark, position) for mark in ",}]\n" if text.find(mark, position) >= 0), default=len(text))
    return (text[:position] + literal + text[end:]).encode()


def _places(document: object) -> Iterator[tuple[dict | list, object]]:
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in list(items):
        yield document, key
        yield from _places(value)


def change_cell(rng: random.Random, content: bytes) -> bytes:
    """Put another value into a cell, leave it out, or give a line one more."""
    rows = _rows(content)
    row = rng.choice(rows)
    position = rng.randrange(len(row) + 1)
    row[position : position + rng.choice((0, 1, 1, 1, 1))] = rng.choice(([rng.choice(_CELLS)],) * 6 + ([],))
    return _text(rows)


def change_rows(rng: random.Random, content: bytes) -> bytes:
    """Repeat lines or columns, leave some out, or change their order."""
    rows = _rows(content)
    column = rng.randrange(max(map(len, rows)) + 1)
    choice = rng.randrange(6)
    if choice == 0:
        rows = rows + rows[rng.randrange(len(rows)) :] * rng.choice((1, 1, 30))
    elif choice == 1:
        del rows[rng.randrange(len(rows))]
    elif choice == 2:
        rng.shuffle(rows)
    elif choice == 3:
        rows = [row[:column] + row[column + 1 :] for row in rows]
    elif choice == 4:
        rows = [row[:column] + row[column : column + 1] * rng.choice((2, 2, 500)) + row[column:] for row in rows]
    else:
        rows[0] = rng.sample(rows[0], len(rows[0]))
    return _text(rows)


def change_text(rng: random.Random, content: bytes) -> bytes:
    """Insert what parsers of tables stumble over."""
    put = rng.choice(
        (b'"', b"\0", b"\r", b"\xff\xfe", b"\n\n", b"," * 3000, b'"' * 4999, "\ufeff".encode(), b"\x85", b"|||")
    )
    position = rng.choice((0, rng.randrange(len(content) + 1)))
    return content[:position] + put + content[position:]


def _rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8", "replace")))) or [[]]


def _text(rows: list[list[str]]) -> bytes:
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(rows)
    return target.getvalue().encode("utf-8", "surrogatepass")


JSON_MUTATIONS = (replace_value, replace_value, replace_literal)
TABLE_MUTATIONS = (change_cell, change_cell, change_rows, change_text)
