"""Bytes of a file, read in windows."""

import io

from common.audio.containers.content import Content, Part


def test_what_lies_across_two_windows_is_found():
    content = bytearray(200_000)
    content[2**16 - 2 : 2**16 + 2] = b"fLaC"
    content[150_000:150_004] = b"fLaC"
    found = Content(io.BytesIO(bytes(content)))
    assert found.find(b"fLaC", 0) == 2**16 - 2
    assert found.find(b"fLaC", 2**16 - 1) == 150_000
    assert found.find(b"fLaC", 150_001) == -1
    assert found.find(b"fLaC", 0, 2**16) == -1
    assert found.first_nonzero(0) == 2**16 - 2 and found.first_nonzero(150_004) == 200_000
    assert found.last_nonzero(0, 200_000) == 150_003 and found.last_nonzero(7, 100) == 7


def test_windows_go_back_and_end_with_the_file():
    content = bytes(range(256)) * 1000
    found = Content(io.BytesIO(content))
    for begin in (200_000, 5, 100_000, 255_990, 256_000):
        assert found.read(begin, 50) == content[begin : begin + 50]


def test_a_part_of_one_piece_may_be_the_file():
    assert Part(((0, 10),), 10).is_file(10)
    assert not Part((b"header", (4, 10)), 10).is_file(10)
