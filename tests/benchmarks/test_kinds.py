"""Every kind of recording through the commands of two tasks; `make bench-kinds` runs all."""

import pytest

from benchmarks import kinds


@pytest.mark.slow
def test_no_kind_of_recording_goes_wrong(tmp_path):
    pytest.importorskip("av", reason="needs the extra ffmpeg")
    results = kinds.table(kinds.kinds(small=True), tmp_path, ("kws", "separation"))
    wrong = results[~results.isin([kinds.OK, kinds.LINE]).all(axis=1)]
    assert wrong.empty, wrong.to_string()
    # What can be read is answered by everything.
    assert (results.loc["MP3 CBR, whole"] == kinds.OK).all() and (results.loc["empty"] == kinds.LINE).all()
