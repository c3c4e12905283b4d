"""Images of users: what the network sees of them, and what is said of those that are none."""

from __future__ import annotations

import random
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.mutations import damage_bytes
from PIL import Image

from nas_incep.errors import InputError
from nas_incep.export.images import files_of, pixels_of

GRAY, COLOR = (1, 6, 4), (3, 6, 4)
PICTURE = np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8)


def saved(path: Path, array: np.ndarray, **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm"])
def test_a_file_of_the_networks_size_is_read_pixel_by_pixel(name: str, tmp_path: Path) -> None:
    pixels = pixels_of(saved(tmp_path / name, PICTURE), COLOR)
    assert pixels.dtype == np.uint8
    assert (pixels == PICTURE.transpose(2, 0, 1)).all()
    assert (pixels_of(PICTURE, COLOR) == pixels).all()
    assert (pixels_of(Image.fromarray(PICTURE), COLOR) == pixels).all()


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 1)])
def test_a_gray_image_has_the_same_value_in_each_channel(shape: tuple[int, ...]) -> None:
    gray = PICTURE[:, :, 0]
    assert (pixels_of(gray.reshape(shape), COLOR) == gray).all()
    assert (pixels_of(gray.reshape(shape), GRAY) == gray).all()


def test_a_colored_image_becomes_gray_as_its_brightness() -> None:
    weights = np.array([0.299, 0.587, 0.114])  # of ITU-R BT.601
    assert np.abs(pixels_of(PICTURE, GRAY)[0] - PICTURE @ weights).max() <= 1


def test_another_size_is_stretched() -> None:
    halves = np.zeros((60, 80, 3), np.uint8)
    halves[30:] = 200
    pixels = pixels_of(halves, COLOR)
    assert pixels.shape == COLOR
    assert (pixels[:, :2] == 0).all() and (pixels[:, 4:] == 200).all()


def test_a_large_photograph_looks_the_same_small(tmp_path: Path) -> None:
    large = np.kron(PICTURE, np.ones((200, 200, 1), np.uint8))
    path = saved(tmp_path / "a.jpg", large, quality=95)
    assert np.abs(pixels_of(path, COLOR).astype(int) - pixels_of(large, COLOR)).max() <= 6


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    clear = np.dstack([PICTURE, np.full((6, 4), 255, np.uint8)])
    clear[:3, :, 3] = 0
    clear[3, :, 3] = 51  # a fifth
    expected = PICTURE.astype(float)
    expected[:3] = 255
    expected[3] = 0.2 * expected[3] + 0.8 * 255
    for image in (clear, saved(tmp_path / "a.png", clear)):
        assert np.abs(pixels_of(image, COLOR) - expected.transpose(2, 0, 1)).max() <= 1


def test_a_transparent_color_of_a_palette_is_white(tmp_path: Path) -> None:
    image = Image.fromarray(PICTURE[:, :, 0] // 128).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60] + [0] * 762)
    image.save(tmp_path / "a.gif", transparency=0)
    clear = PICTURE[:, :, 0] < 128
    pixels = pixels_of(tmp_path / "a.gif", COLOR)
    assert (pixels[:, clear] == 255).all()
    assert (pixels[:, ~clear].T == [40, 50, 60]).all()


def test_sixteen_bits_are_brought_to_eight(tmp_path: Path) -> None:
    wide = PICTURE[:, :, 0].astype(np.uint16) * 257
    assert (pixels_of(saved(tmp_path / "a.png", wide), GRAY)[0] == PICTURE[:, :, 0]).all()


def test_an_image_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the orientation: turned by a quarter, clockwise to be right
    path = saved(tmp_path / "a.png", np.rot90(PICTURE), exif=exif)
    assert (pixels_of(path, COLOR) == PICTURE.transpose(2, 0, 1)).all()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (PICTURE / 255, "the array is of float64: uint8 pixels from 0 to 255 are expected"),
        (PICTURE[None], r"the array has the shape \(1, 6, 4, 3\): \(height, width\) or"),
        (PICTURE[:0], r"the array has the shape \(0, 4, 3\)"),
        (PICTURE[:, :, :2], r"the array has the shape \(6, 4, 2\)"),
        (3, "an image is of the type int: a path, an array or a Pillow image is expected"),
        ("nowhere.png", "nowhere.png: cannot be read as an image: No such file or directory"),
        ("a\0b.png", "cannot be read"),
    ],
)
def test_no_image_is_one_sentence(image: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pixels_of(image, COLOR)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as an image: not an image"),
        (b"hello", "cannot be read as an image: not an image of a known format"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "cannot be read as an image: not",
        ),  # runs a program
    ],
)
def test_another_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.png: {message}"):
        pixels_of(tmp_path / "a.png", COLOR)


@pytest.mark.parametrize("side", [11_000, 60_000])
def test_a_small_file_of_a_huge_image_is_refused_unread(side: int, tmp_path: Path) -> None:
    data = bytearray(saved(tmp_path / "a.png", PICTURE).read_bytes())
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(
        InputError, match=r"64 million pixels that are read|at most 64 million are read"
    ):
        pixels_of(tmp_path / "a.png", COLOR)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm"])
def test_a_damaged_file_is_an_image_or_one_sentence(kind: str, tmp_path: Path) -> None:
    whole = BytesIO()
    Image.fromarray(np.tile(PICTURE, (8, 8, 1))).save(whole, kind)
    rng, refused = random.Random(kind), 0
    path = tmp_path / "a.image"
    for _ in range(60):
        path.write_bytes(damage_bytes(whole.getvalue(), rng))
        try:
            assert pixels_of(path, COLOR).shape == COLOR
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            refused += 1
    assert refused > 0


def test_a_folder_gives_its_images_by_name(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "deep").mkdir()
    assert [f.name for f in files_of((tmp_path, Path("x.dat")))] == ["a.jpeg", "b.PNG", "x.dat"]
    with pytest.raises(InputError, match=r"deep: has no image \(\.png"):
        files_of((tmp_path / "deep",))
