"""Tables that people write beside their recordings."""

import os
import unicodedata

import pytest

from common.corpora import own_tables
from common.errors import UserError


def _put(root, *names):
    for name in names:
        path = os.path.join(os.fsencode(root), name if isinstance(name, bytes) else name.encode())
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass


def test_a_file_is_found_under_the_name_it_has_on_the_disk(tmp_path):
    decomposed = unicodedata.normalize("NFD", "mañana/adiós.wav")
    _put(tmp_path, decomposed, "deep/er/1.wav", b"latin/caf\xe9.wav", "odd\\name.wav")
    locate = own_tables.locator(tmp_path)
    assert locate("mañana/adiós.wav") == tmp_path / decomposed
    assert locate("mañana\\adiós.wav") == tmp_path / decomposed
    assert locate("deep\\er\\1.wav") == locate("./deep/er/1.wav") == tmp_path / "deep/er/1.wav"
    assert os.fsencode(locate("latin/caf\\xe9.wav")).endswith(b"caf\xe9.wav")
    # A file of the very name comes first.
    assert locate("odd\\name.wav") == tmp_path / "odd\\name.wav"
    assert locate("missing.wav") == tmp_path / "missing.wav"


def test_a_table_of_many_columns_that_are_not_named_is_told(tmp_path):
    (tmp_path / "t.csv").write_text("file,label\na.wav,yes,more\nb.wav,no,more\n")
    with pytest.raises(UserError, match="more values than the header has columns"):
        own_tables.read(tmp_path / "t.csv", ("file", "label"), (), "recordings")


def test_what_a_value_means_is_told(tmp_path):
    values = {"sex": "Female"}
    assert own_tables.meaning(tmp_path, 2, "sex", values, own_tables.SEXES) == "F"
    assert own_tables.meaning(tmp_path, 2, "split", values, {"": ""}) == ""
    with pytest.raises(UserError, match='line 3 has the sex "x"; expected F, M'):
        own_tables.meaning(tmp_path, 3, "sex", {"sex": "x"}, own_tables.SEXES)
