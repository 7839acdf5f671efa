"""Functions that take few arguments, and files that are read in one go."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    path
    for top in ("common", "kws", "counting", "separation", "generation", "quartet", "benchmarks")
    for path in (ROOT / top).rglob("*.py")
]
MOST_PARAMETERS, MOST_LINES = 7, 400


def too_wide(source: str) -> list[str]:
    """Functions with more parameters than `MOST_PARAMETERS`, `self` and constructors that take names alone apart."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            positional = [
                one.arg for one in (*node.args.posonlyargs, *node.args.args) if one.arg not in ("self", "cls")
            ]
            named_alone = node.name == "__init__" and not positional
            if not named_alone and len(positional) + len(node.args.kwonlyargs) > MOST_PARAMETERS:
                found.append(node.name)
    return found


def test_no_function_takes_more_than_seven_parameters():
    wide = {str(path.relative_to(ROOT)): too_wide(path.read_text()) for path in SOURCES}
    assert len(wide) > 100
    assert not {path: names for path, names in wide.items() if names}


def test_what_counts_as_a_parameter():
    assert too_wide("def f(a, b, c, d, e, /, f, *, g, h): ...") == ["f"]
    assert too_wide("class A:\n def m(self, a, b, c, d, e, f, *rest, g, **others): ...") == []
    assert too_wide("class A:\n def __init__(self, *, a, b, c, d, e, f, g, h): ...") == []
    assert too_wide("class A:\n def __init__(self, a, *, b, c, d, e, f, g, h): ...") == ["__init__"]


def test_no_file_is_longer_than_four_hundred_lines():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {path: length for path, length in lengths.items() if length > MOST_LINES}
