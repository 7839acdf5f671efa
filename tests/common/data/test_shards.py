import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from common import files
from common.cli import app
from common.corpora import manifest
from common.data import shards
from common.errors import UserError

RATE = 8000
SAMPLES = 800


@pytest.fixture
def clips(tmp_path, rng):
    """Twenty clips of a tenth of a second, and the manifest that lists them."""
    rows, waveforms = [], {}
    for number in range(20):
        path = tmp_path / "clips" / f"{number:02d}.wav"
        path.parent.mkdir(exist_ok=True)
        waveforms[str(path)] = (rng.uniform(-0.5, 0.5, SAMPLES) * 32768).round() / 32768
        soundfile.write(path, waveforms[str(path)], RATE, subtype="PCM_16")
        rows.append({"path": path, "label": f"w{number % 2}", "split": "train"})
    return manifest.from_rows(rows), waveforms


def test_stored_clips_come_back_bit_for_bit_at_their_own_rate(clips, tmp_path):
    table, waveforms = clips
    prepared = shards.prepare(table, tmp_path / "shards", RATE)
    seen = {}
    for batch, rows in shards.read(prepared, SAMPLES, 6):
        for waveform, row in zip(batch.numpy(), rows.numpy(), strict=True):
            seen[table["path"][row]] = waveform
    assert seen.keys() == waveforms.keys()
    for path, waveform in seen.items():
        np.testing.assert_array_equal(waveform, waveforms[path].astype(np.float32))


def test_short_clips_are_padded_and_long_ones_cut(clips, tmp_path):
    table, _ = clips
    prepared = shards.prepare(table, tmp_path / "shards", RATE)
    exact = next(iter(shards.read(prepared, SAMPLES, 20)))[0].numpy()
    longer = next(iter(shards.read(prepared, SAMPLES + 100, 20)))[0].numpy()
    shorter = next(iter(shards.read(prepared, SAMPLES - 100, 20)))[0].numpy()
    np.testing.assert_array_equal(longer, np.pad(exact, ((0, 0), (0, 100))))
    np.testing.assert_array_equal(shorter, exact[:, :-100])


def test_a_second_call_writes_nothing(clips, tmp_path):
    table, _ = clips
    prepared = shards.prepare(table, tmp_path / "shards", RATE)
    before = {path: path.stat().st_mtime_ns for path in prepared.folder.iterdir()}
    shards.prepare(table, tmp_path / "shards", RATE)
    assert {path: path.stat().st_mtime_ns for path in prepared.folder.iterdir()} == before


def test_a_changed_recording_rate_or_length_is_another_cache(clips, tmp_path, rng):
    table, _ = clips
    folders = [
        shards.prepare(table, tmp_path / "shards", RATE).folder,
        shards.prepare(table, tmp_path / "shards", RATE // 2).folder,
        shards.prepare(table, tmp_path / "shards", RATE, clip_seconds=0.05).folder,
    ]
    soundfile.write(table["path"][0], rng.uniform(-0.5, 0.5, SAMPLES - 1), RATE)
    folders.append(shards.prepare(table, tmp_path / "shards", RATE).folder)
    assert len(set(folders)) == 4


def test_after_an_interruption_only_missing_shards_are_made(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_SHARD_BYTES", 5 * 2 * SAMPLES + 1)
    table, waveforms = clips
    table = table.assign(duration=SAMPLES / RATE)
    prepared = shards.prepare(table, tmp_path / "shards", RATE)
    assert len(prepared.paths) == 4
    # What a kill leaves: a shard without its report, and the temporary file of another.
    (prepared.folder / "shard-00002.json").unlink()
    monkeypatch.setattr(files.atomic, "_tidied", set())
    (prepared.folder / ".shard-00002.partial-12345678.tfrecord").write_bytes(b"half")
    kept = (prepared.folder / "shard-00001.tfrecord").stat().st_mtime_ns
    again = shards.prepare(table, tmp_path / "shards", RATE)
    assert (prepared.folder / "shard-00001.tfrecord").stat().st_mtime_ns == kept
    assert sorted(again.rows) == list(range(20))
    assert not list(prepared.folder.glob(".*"))
    assert sum(len(rows) for _, rows in shards.read(again, SAMPLES, 7)) == len(waveforms)


def test_the_loudest_stretch_of_a_long_recording_is_kept(tmp_path):
    waveform = np.full(RATE, 0.01, np.float32)
    waveform[5000:5400] = 0.5
    soundfile.write(tmp_path / "long.wav", waveform, RATE)
    table = manifest.from_rows([{"path": tmp_path / "long.wav"}])
    prepared = shards.prepare(table, tmp_path / "shards", RATE, clip_seconds=0.1)
    stored = next(iter(shards.read(prepared, SAMPLES, 1)))[0].numpy()
    assert (stored > 0.4).sum() == 400


def test_unreadable_recordings_are_listed_and_do_not_stop(clips, tmp_path):
    table, _ = clips
    (tmp_path / "clips" / "03.wav").write_bytes(b"no audio at all")
    prepared = shards.prepare(table, tmp_path / "shards", RATE)
    assert len(prepared.rows) == 19
    assert 3 not in prepared.rows
    assert prepared.rejected["path"].tolist() == [str(tmp_path / "clips" / "03.wav")]
    assert "03.wav" in (prepared.folder / "rejected.csv").read_text()


def test_too_many_unreadable_recordings_are_an_error_with_the_first_reason(clips, tmp_path):
    table, _ = clips
    (tmp_path / "clips" / "03.wav").write_bytes(b"")
    (tmp_path / "clips" / "04.wav").unlink()
    with pytest.raises(UserError, match=r"2 of 20 recordings cannot be used .* 10%, but max_rejected allows 5%"):
        shards.prepare(table, tmp_path / "shards", RATE)
    assert len(shards.prepare(table, tmp_path / "shards", RATE, max_rejected=0.5).rows) == 18


def order_of(prepared, seed, initial_batch, num_batches):
    batches = shards.finish(shards.stream(prepared, SAMPLES, 4, seed, initial_batch)).take(num_batches)
    return [(rows.numpy().tolist(), draw.numpy().tolist()) for _, rows, draw in batches]


def test_every_pass_has_its_own_order_and_all_examples(clips, tmp_path):
    prepared = shards.prepare(clips[0], tmp_path / "shards", RATE)
    batches = [rows for rows, _ in order_of(prepared, 1, 0, 10)]
    first, second = sum(batches[:5], []), sum(batches[5:], [])
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second


def test_a_stream_that_begins_later_goes_on_exactly(clips, tmp_path):
    prepared = shards.prepare(clips[0], tmp_path / "shards", RATE)
    whole = order_of(prepared, 1, 0, 15)
    assert order_of(prepared, 1, 10, 5) == whole[10:]
    # From the middle of a pass, too.
    assert order_of(prepared, 1, 7, 8) == whole[7:]
    assert order_of(prepared, 1, 0, 5) != order_of(prepared, 2, 0, 5)


@pytest.mark.parametrize("global_seed", [0, 5])
def test_the_order_does_not_depend_on_the_global_seed(clips, tmp_path, global_seed):
    prepared = shards.prepare(clips[0], tmp_path / "shards", RATE)
    expected = order_of(prepared, 1, 0, 5)
    tf.random.set_seed(global_seed)
    assert order_of(prepared, 1, 0, 5) == expected


def test_random_draws_differ_between_batches_and_passes(clips, tmp_path):
    prepared = shards.prepare(clips[0], tmp_path / "shards", RATE)
    draws = [tuple(draw) for _, draw in order_of(prepared, 1, 0, 10)]
    assert len(set(draws)) == 10


def _change_record(prepared, change):
    """Change the first record's content, with its right length and checksums."""
    path = prepared.paths[0]
    records = [record.numpy() for record in tf.data.TFRecordDataset(path)]
    with tf.io.TFRecordWriter(path) as writer:
        for number, record in enumerate(records):
            writer.write(record if number else change(record))


def test_a_record_that_asks_for_more_than_there_is_is_refused_before_it_is_read(clips, tmp_path):
    table, _ = clips
    path = Path(shards.prepare(table, tmp_path / "shards", RATE).paths[0])
    whole = path.read_bytes()
    for content in (whole[:-5], b"\xff" * 7 + b"\x7f" + whole[8:], whole + whole, b"", whole[:5]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="are damaged .*delete"):
            shards.prepare(table, tmp_path / "shards", RATE)


@pytest.mark.parametrize("content", [b"", b"\n\xa4\x19\n\x0c", b"no record"])
def test_a_forged_record_is_one_line(clips, tmp_path, content, capsys):
    table, _ = clips
    prepared = shards.prepare(table, tmp_path / "shards", RATE)
    _change_record(prepared, lambda record: content)
    with pytest.raises(UserError, match="are damaged"):
        list(shards.recordings(prepared))
    main = lambda flags, arguments: list(shards.read(prepared, SAMPLES, 4))  # noqa: E731
    assert app.run(main, lambda flag_values: None, []) == 2
    assert "error: decoded recordings are damaged" in capsys.readouterr().err


def test_a_flipped_bit_is_one_line(clips, tmp_path, capsys):
    table, _ = clips
    prepared = shards.prepare(table, tmp_path / "shards", RATE)
    path = Path(prepared.paths[0])
    content = path.read_bytes()
    path.write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])
    main = lambda flags, arguments: list(shards.read(prepared, SAMPLES, 4))  # noqa: E731
    assert app.run(main, lambda flag_values: None, []) == 2
    assert "error: decoded recordings are damaged" in capsys.readouterr().err


def test_reports_of_other_rows_are_told(clips, tmp_path):
    table, _ = clips
    report = next(shards.prepare(table, tmp_path / "shards", RATE).folder.glob("*.json"))
    for text in ("[" * 100_000, '{"rows": [99], "rejected": []}', '{"rows": 1e999, "rejected": []}', "[]"):
        report.write_text(text)
        with pytest.raises(UserError, match="delete"):
            shards.prepare(table, tmp_path / "shards", RATE)


def test_a_file_whose_name_is_no_text_is_read(tmp_path, rng):
    name = os.fsdecode(b"caf\xe9.wav")
    soundfile.write(os.fsencode(tmp_path / name), rng.normal(0, 0.1, 1600), 16000, format="WAV")
    (tmp_path / os.fsdecode(b"broken\xe9.wav")).write_bytes(b"RIFF")
    rows = [{"path": path, "duration": 0.1} for path in sorted(tmp_path.glob("*.wav"))]
    prepared = shards.prepare(manifest.from_rows(rows), tmp_path / "shards", 16000, max_rejected=0.5)
    assert len(prepared.rows) == 1 and len(prepared.rejected) == 1
