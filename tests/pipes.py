"""What standard input is."""

import io


class Pipe(io.RawIOBase):
    """Can be read once, and cannot go back."""

    def __init__(self, content: bytes):
        self._content = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._content.readinto(buffer)
