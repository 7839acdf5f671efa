"""The audio formats that can be read and written."""

# Suffixes that `common.audio` reads, with libsndfile or FFmpeg's libraries.
AUDIO_SUFFIXES = (
    *(".wav", ".wave", ".rf64", ".w64", ".bwf", ".flac", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".sph"),
    *(".mp3", ".mp2", ".mpga", ".ogg", ".oga", ".opus"),
    *(".m4a", ".m4b", ".mp4", ".mov", ".3gp", ".aac", ".ac3", ".amr", ".wma", ".webm", ".mka", ".mkv"),
    *(".wv", ".ape", ".tta"),
)
# For messages.
USUAL_SUFFIXES = ".wav, .flac, .mp3, .ogg, .m4a and others"

# Formats that commands write; `common.audio.write` supports every format of libsndfile.
WRITTEN = ("wav", "flac", "ogg", "mp3")
