"""The corpora, by the name that `--corpus` takes.

Each module has `index(root, **options)`, which returns a manifest (see `common.corpora.manifest`), and, where the
corpus can be fetched, `download(root)`, which fills the folder. Both raise `UserError` with one line that says what was
expected.
"""

from common.corpora import (
    clusters,
    esc50,
    folder,
    gtzan,
    librispeech,
    mir1k,
    musdb,
    music_folder,
    speaker_folders,
    speech_commands,
    synthetic_songs,
    synthetic_voices,
    synthetic_words,
    track_folders,
)

CORPORA = {
    "synthetic": synthetic_words,
    "speech_commands": speech_commands,
    "folder": folder,
    "clusters": clusters,
    "esc50": esc50,
    "librispeech": librispeech,
    "speaker_folders": speaker_folders,
    "utterances": synthetic_voices,
    "musdb": musdb,
    "mir1k": mir1k,
    "gtzan": gtzan,
    "music_folder": music_folder,
    "track_folders": track_folders,
    "songs": synthetic_songs,
}
