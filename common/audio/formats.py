"""Which files are recordings, and which can be written: the formats of audio, each named here once."""

# All that `common.audio` reads, with libsndfile or with ffmpeg's libraries.
AUDIO_SUFFIXES = (
    *(".wav", ".wave", ".rf64", ".w64", ".bwf", ".flac", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".sph"),
    *(".mp3", ".mp2", ".mpga", ".ogg", ".oga", ".opus"),
    *(".m4a", ".m4b", ".mp4", ".mov", ".3gp", ".aac", ".ac3", ".amr", ".wma", ".webm", ".mka", ".mkv"),
    *(".wv", ".ape", ".tta"),
)
# For messages.
USUAL_SUFFIXES = ".wav, .flac, .mp3, .ogg, .m4a and others"

# What commands write; `common.audio.write` takes the suffix of any other that libsndfile knows too.
WRITTEN = ("wav", "flac", "ogg", "mp3")
