"""The tables of the corpora, and how they are read."""

from pathlib import Path

from benchmarks.fuzzing import seeds
from benchmarks.fuzzing.mutations import Input


def manifests(folder: Path) -> list[Input]:
    """Return a manifest."""
    from common.corpora import manifest

    rows = [
        {"path": "/a/1.wav", "split": "train", "label": "yes", "speaker": "anna", "sex": "F"},
        {"path": "/a/2.wav", "split": "test", "start": 1.5, "duration": 2.25, "track": "song, long", "stem": "vocals"},
        {"path": "/a/ü.flac", "split": "validation", "channel": 1},
    ]
    manifest.write(manifest.from_rows(rows), folder / "manifest.csv")
    return [{"manifest.csv": (folder / "manifest.csv").read_bytes()}]


def read_manifest(folder: Path) -> None:
    """Read a manifest and choose a split."""
    from common.corpora import manifest

    manifest.select(manifest.read(folder / "manifest.csv"), "train")


def metadata(folder: Path) -> list[Input]:
    """Return folders with a table of recordings."""
    sound = seeds.recording()
    words = [f"{word}/{number}.wav" for word in ("yes", "no") for number in range(4)]
    plain = "file,label\n" + "".join(f"{name},{name.split('/')[0]}\n" for name in words)
    splits = ("train", "train", "val", "test")
    full = "file,label,speaker,split,sex\n" + "".join(
        f"{name},{name.split('/')[0]},s{number},{splits[number % 4]},{'fm'[number % 2]}\n"
        for number, name in enumerate(words)
    )
    return [{"metadata.csv": text.encode(), "yes/0.wav": sound} for text in (plain, full)]


def index_folder(folder: Path) -> None:
    """Index a folder of classes."""
    from common.corpora import folder as class_folder

    class_folder.index(folder)


def speakers(folder: Path) -> list[Input]:
    """Return folders of speakers."""
    names = ("anna", "bert", "carl", "dora")
    sounds = {f"{name}/1.wav": seeds.recording() for name in names}
    plain = "speaker,sex\n" + "".join(f"{name},{sex}\n" for name, sex in zip(names, "FMMF", strict=True))
    full = "Speaker, Sex, Split\nanna,F,train\nbert,M,validation\ncarl,male,test\ndora,,train\n"
    return [{"speakers.csv": text.encode(), **sounds} for text in (plain, full)]


def index_speakers(folder: Path) -> None:
    """Index folders of speakers."""
    from common.corpora import speaker_folders

    speaker_folders.index(folder)


def esc50(folder: Path) -> list[Input]:
    """Return a small ESC-50."""
    names = [f"{fold}-1000{fold}-A-{fold}.wav" for fold in range(1, 6)]
    lines = [f"{name},{name[0]},{name[0]},dog,False,1000{name[0]},A" for name in names]
    table = "\n".join(["filename,fold,target,category,esc10,src_file,take", *lines])
    return [{"meta/esc50.csv": table.encode(), **{f"audio/{name}": b"sound" for name in names}}]


def index_esc50(folder: Path) -> None:
    """Index ESC-50."""
    from common.corpora import esc50 as corpus

    corpus.index(folder)


def librispeech(folder: Path) -> list[Input]:
    """Return a small LibriSpeech."""
    text = ";ID  |SEX| SUBSET           |MINUTES| NAME\n14   | F | train-clean-360  | 25.03 | Kristin | K\n16 | M | dev | 1 | B\n"
    subsets = {
        f"{subset}/{number}/1/{number}-1-0.flac": b""
        for subset, number in (("train-x", 14), ("dev-x", 16), ("test-x", 7))
    }
    return [{"SPEAKERS.TXT": text.encode(), **subsets}]


def index_librispeech(folder: Path) -> None:
    """Index LibriSpeech."""
    from common.corpora import librispeech as corpus

    corpus.index(folder)


def commands(folder: Path) -> list[Input]:
    """Return a small Speech Commands."""
    words = {f"{word}/{speaker}_nohash_0.wav": b"sound" for word in ("yes", "no") for speaker in ("a1", "b2", "c3")}
    lists = {
        "validation_list.txt": b"yes/b2_nohash_0.wav\nno/b2_nohash_0.wav\n",
        "testing_list.txt": b"yes/c3_nohash_0.wav\n",
    }
    return [{**lists, **words}]


def index_commands(folder: Path) -> None:
    """Index Speech Commands."""
    from common.corpora import speech_commands

    speech_commands.index(folder)


def prepared(folder: Path) -> list[Input]:
    """Return a folder of prepared mixtures."""
    text = "File,Split,Speakers,Speakers Sex,F,M\na.wav,train,2,MF,1,1\nb.wav,test,0,,0,0\nc.wav,validation,1,?,0,0\n"
    return [{"metadata.csv": text.encode(), "a.wav": seeds.recording()}]


def index_prepared(folder: Path) -> None:
    """Index prepared mixtures."""
    from common.corpora import prepared_mixtures as corpus

    corpus.index(folder, clip_seconds=0.2)
