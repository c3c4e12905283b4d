"""One's own data in each of their layouts, and what is told about their faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.own_data import (
    SHAPES,
    arrays,
    draw,
    framed,
    png,
    record,
    refusal,
    write_folder,
    write_npz,
    write_records,
)
from PIL import Image

from nas_incep.datasets import Dataset, ImageForm, count_test, load, load_test
from nas_incep.datasets.splits import split_indices


def same_images(one: Dataset, other: Dataset) -> bool:
    return np.array_equal(one.train.images, other.train.images) and np.array_equal(
        one.validation.labels, other.validation.labels
    )


def test_the_same_images_are_the_same_in_every_layout(tmp_path: Path) -> None:
    folder = load(str(write_folder(tmp_path / "shapes")))
    assert folder.info.classes == SHAPES and folder.info.image_shape == (3, 32, 32)
    assert folder.train.images.shape == (48, 3, 32, 32)
    assert np.bincount(folder.validation.labels).tolist() == [4, 4, 4]
    assert same_images(folder, load(str(write_npz(tmp_path / "shapes.npz"))))
    records = load(str(write_records(tmp_path / "shapes.rec")))
    assert same_images(folder, records) and records.info.classes == ("0", "1", "2")


def test_the_split_is_that_of_other_data_sets(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "shapes.npz")
    x, y = arrays()
    train, validation = split_indices(y, 15, 0)
    dataset = load(str(path), validation_size=15)
    assert np.array_equal(dataset.train.images, x[train].transpose(0, 3, 1, 2))
    assert np.array_equal(dataset.validation.images, x[validation].transpose(0, 3, 1, 2))
    assert load(str(path), validation_size=15).fingerprint == dataset.fingerprint
    others = [load(str(path), validation_size=16), load(str(path), None, 15, split_seed=1)]
    assert dataset.fingerprint not in [other.fingerprint for other in others]


def test_parts_of_a_folder(tmp_path: Path) -> None:
    for part, each in (("train", 6), ("valid", 3), ("test", 2)):
        write_folder(tmp_path / part, each, seed=each)
    dataset = load(str(tmp_path))
    assert (len(dataset.train.labels), len(dataset.validation.labels)) == (18, 9)
    sealed = load_test(str(tmp_path))
    assert np.array_equal(sealed.images[0], np.asarray(draw("circle", 2)).transpose(2, 0, 1))
    assert count_test(str(tmp_path)) == len(sealed.labels) == 6
    assert "has a validation part of its own, of 9 images" in refusal(
        lambda: load(str(tmp_path), validation_size=5)
    )


def test_a_search_never_opens_the_test_part(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_folder(tmp_path / part, 6)
    for path in (tmp_path / "test").rglob("*.png"):
        path.write_bytes(b"no image")
    load(str(tmp_path))
    assert "6 of 6 images" not in refusal(lambda: load_test(str(tmp_path)))
    assert "18 of 18 images cannot be read" in refusal(lambda: load_test(str(tmp_path)))


def test_parts_of_records_and_of_arrays(tmp_path: Path) -> None:
    for part, each in (("train", 6), ("val", 3), ("test", 2)):
        write_records(tmp_path / "records" / f"{part}.rec", each)
    x, y = arrays(4)
    path = write_npz(tmp_path / "a.npz", x_val=x, y_val=y, x_test=x[:5], y_test=y[:5])
    for place, counts in ((tmp_path / "records", (18, 9, 6)), (path, (60, 12, 5))):
        dataset = load(str(place))
        found = (len(dataset.train.labels), len(dataset.validation.labels), count_test(str(place)))
        assert found == counts


@pytest.mark.parametrize("layout", ["folder", "npz", "rec"])
def test_without_a_test_part_there_is_nothing_sealed(tmp_path: Path, layout: str) -> None:
    writers = {"folder": write_folder, "npz": write_npz, "rec": write_records}
    path = writers[layout](tmp_path / f"shapes.{layout}")
    assert count_test(str(path)) is None
    assert "has no test part, so there is nothing sealed" in refusal(lambda: load_test(str(path)))


def test_mixed_sizes_are_resized_and_told(tmp_path: Path) -> None:
    write_folder(tmp_path, 4)
    draw("circle", 9, (200, 100)).save(tmp_path / "circle" / "wide.jpg")
    dataset = load(str(tmp_path))
    assert dataset.info.image_shape == (3, 32, 32)
    assert (
        "images of 2 sizes, from 32x32 to 200x100 pixels, are resized to 32x32"
        in (dataset.notices[0])
    )
    assert load(str(tmp_path), form=ImageForm((16, 16), 3)).notices == ()


@pytest.mark.parametrize(
    ("size", "mode", "shape", "told"),
    [
        ((20, 12), "L", (1, 12, 20), False),
        ((64, 64), "RGB", (3, 64, 64), False),
        ((96, 96), "RGB", (3, 32, 32), True),
        ((16, 16), "1", (1, 16, 16), False),
        ((16, 16), "P", (3, 16, 16), False),
    ],
)
def test_the_form_is_that_of_the_images(
    tmp_path: Path, size: tuple[int, int], mode: str, shape: tuple[int, ...], told: bool
) -> None:
    write_folder(tmp_path, 4, size=size, mode=mode)
    dataset = load(str(tmp_path))
    assert dataset.info.image_shape == shape
    assert bool(dataset.notices) == told


def test_gray_among_color_images_is_told(tmp_path: Path) -> None:
    write_folder(tmp_path, 4)
    draw("circle", 9, mode="L").save(tmp_path / "circle" / "gray.png")
    assert (
        "gray images (1) among color images (12) are read as color images"
        in load(str(tmp_path)).notices[0]
    )
    gray = load(str(tmp_path), form=ImageForm(channels=1))
    assert gray.info.image_shape == (1, 32, 32)


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    write_folder(tmp_path, 4, size=(20, 10))
    image = draw("circle", 0, (10, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    image.save(tmp_path / "circle" / "000.png", exif=exif)
    dataset = load(str(tmp_path), validation_size=3)
    assert dataset.info.image_shape == (3, 10, 20) and not dataset.notices
    turned = np.rot90(np.asarray(image), -1).transpose(2, 0, 1)
    everything = np.concatenate([dataset.train.images, dataset.validation.images])
    assert any(np.array_equal(one, turned) for one in everything)


def test_sixteen_bits_are_scaled_and_transparency_is_white(tmp_path: Path) -> None:
    write_folder(tmp_path, 4, size=(8, 8), mode="L")
    deep = np.full((8, 8), 0x80FF, np.uint16)
    deep[0] = 0
    Image.fromarray(deep).save(tmp_path / "circle" / "000.png")
    clear = Image.new("LA", (8, 8), (200, 0))
    clear.putpixel((0, 0), (200, 255))
    clear.save(tmp_path / "circle" / "001.png")
    dataset = load(str(tmp_path), validation_size=3)
    everything = np.concatenate([dataset.train.images, dataset.validation.images])[:, 0]
    assert any((one[0] == 0).all() and (one[1:] == 0x80).all() for one in everything)
    assert any(one[0, 0] == 200 and one.sum() == 200 + 63 * 255 for one in everything)


def test_a_copy_of_slowly_decoded_images_is_used_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas_incep.datasets import cache

    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cache, "SLOW_SECONDS", 0.0)
    path = str(write_folder(tmp_path / "shapes", 4))
    first = load(path)
    (copy,) = (tmp_path / "home" / "datasets" / "decoded").iterdir()
    content = bytearray(copy.read_bytes())
    assert len(content) == 32 + 12 * 3 * 32 * 32
    monkeypatch.setattr("nas_incep.datasets.pictures.decode", None)
    assert same_images(first, load(path))
    monkeypatch.undo()
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "home"))
    content[-1] ^= 1
    copy.write_bytes(content)
    assert same_images(first, load(path))


def test_many_images_are_decoded_in_threads(tmp_path: Path) -> None:
    content = [png(draw(shape, 0, (8, 8))) for shape in SHAPES]
    (tmp_path / "many.rec").write_bytes(
        b"".join(framed(record(label, content[label])) for label in range(3)) * 200
    )
    dataset = load(str(tmp_path / "many.rec"), validation_size=6)
    for image, label in zip(dataset.validation.images, dataset.validation.labels):
        expected = np.asarray(draw(SHAPES[label], 0, (8, 8))).transpose(2, 0, 1)
        assert np.array_equal(image, expected)


def test_a_rare_class_is_in_both_parts(tmp_path: Path) -> None:
    x, y = arrays()
    kept = np.r_[0:2, 20:60]
    path = write_npz(tmp_path / "rare.npz", x_train=x[kept], y_train=y[kept])
    dataset = load(str(path))
    assert np.bincount(dataset.validation.labels).tolist() == [1, 3, 4]


def test_a_renamed_class_is_another_data_set(tmp_path: Path) -> None:
    write_folder(tmp_path, 4)
    before = load(str(tmp_path)).fingerprint
    (tmp_path / "circle").rename(tmp_path / "ball")
    assert load(str(tmp_path)).fingerprint != before


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    write_folder(tmp_path / "elsewhere", 4)
    (tmp_path / "data").mkdir()
    for shape in SHAPES:
        (tmp_path / "data" / shape).symlink_to(tmp_path / "elsewhere" / shape)
    # Twice at each level: 2^30 ways lead to the last one.
    level = tmp_path / "elsewhere" / "circle"
    for index in range(30):
        below = tmp_path / "levels" / str(index)
        below.mkdir(parents=True)
        (level / "a").symlink_to(below)
        (level / "b").symlink_to(below)
        level = below
    (level / "again").symlink_to(tmp_path / "data" / "circle")
    assert len(load(str(tmp_path / "data")).train.labels) == 9


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_folder(tmp_path, 4)
    (tmp_path / "circle").rename(tmp_path / "train")
    assert load(str(tmp_path)).info.classes == ("square", "train", "triangle")


def test_data_that_were_moved_are_named_by_their_folder(tmp_path: Path) -> None:
    before = load(str(write_folder(tmp_path / "before", 4)))
    (tmp_path / "before").rename(tmp_path / "after")
    told = refusal(lambda: load(str(tmp_path / "before")))
    assert "before: no such folder or file; --data-dir names" in told
    after = load(str(tmp_path / "before"), tmp_path / "after")
    assert after.fingerprint == before.fingerprint and same_images(after, before)
