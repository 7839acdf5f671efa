import pytest

from common import streams
from common.cli.guard import Guard
from common.errors import UserError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("a.wav is not audio; give another"), "error: a.wav is not audio; give another\n"),
        (UserError("expected 2 channels"), "error: a.wav: expected 2 channels\n"),
        (ValueError("two\nlines"), "error: a.wav: two\n"),
        (ZeroDivisionError(), "error: a.wav: ZeroDivisionError\n"),
        (MemoryError(), "error: a.wav: not enough memory\n"),
        (OSError(5, "Input/output error", "/mnt/x"), "error: a.wav: Input/output error\n"),
    ],
)
def test_what_fails_is_one_line_that_names_it_and_the_others_are_done(error, line, capsys):
    guard, done = Guard(), []
    for name in ("a.wav", "b.wav"):
        with guard.one(name):
            if name == "a.wav":
                raise error
            done.append(name)
    assert done == ["b.wav"]
    assert capsys.readouterr().err == line
    with pytest.raises(UserError, match="1 of the recordings could not be processed"):
        guard.finish()


def test_a_name_that_is_no_text_is_told_once(capsys):
    with Guard().one("caf\udce9.wav"):
        raise UserError("caf\udce9.wav is not audio")
    assert capsys.readouterr().err == "error: caf\\udce9.wav is not audio\n"


def test_where_none_fails_nothing_is_told(capsys):
    guard = Guard()
    with guard.one("-"):
        pass
    guard.finish()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BrokenPipeError(), OSError(28, "full", streams.OUTPUT)])
def test_ctrl_c_and_a_refusing_standard_output_pass_through(error):
    guard = Guard()
    with pytest.raises(type(error)), guard.one("a.wav"):
        raise error
    assert guard.failures == 0
