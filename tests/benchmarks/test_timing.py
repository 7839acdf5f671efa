from benchmarks.timing import take_turns


def test_routes_take_turns_and_every_call_is_a_figure():
    calls = []
    table = take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert calls == ["a", "b"] * 3
    assert table.shape == (3, 2)
    assert list(table.columns) == ["a", "b"]
    assert (table >= 0).all(axis=None)
