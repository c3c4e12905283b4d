"""What is told about faults of one's own data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.own_data import SHAPES, draw, refusal, write_folder
from PIL import Image, ImageFile

from nas_incep.datasets import ImageForm, load


def test_images_that_cannot_be_read_are_counted_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as GluonCV sets it
    write_folder(tmp_path, 4)
    whole = (tmp_path / "circle" / "000.png").read_bytes()
    (tmp_path / "circle" / "000.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "square" / "001.png").write_bytes(b"")
    (tmp_path / "square" / "002.png").unlink()
    (tmp_path / "square" / "002.png").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "square" / "004.png")
    told = refusal(lambda: load(str(tmp_path)))
    # What cannot even be opened is found first.
    assert "2 of 13 images cannot be read: square/002.png (No such file or directory)" in told
    for name in ("002.png", "004.png"):
        (tmp_path / "square" / name).unlink()
    told = refusal(lambda: load(str(tmp_path)))
    assert "2 of 11 images cannot be read: circle/000.png (" in told
    assert "square/001.png (not an image of a known format)" in told


def test_a_huge_image_is_not_decoded(tmp_path: Path) -> None:
    write_folder(tmp_path, 4)
    Image.new("1", (20_000, 10_000)).save(tmp_path / "circle" / "000.png")
    told = refusal(lambda: load(str(tmp_path)))
    assert "000.png (" in told and "64 million" in told


def test_classes_that_differ_by_case_are_told(tmp_path: Path) -> None:
    write_folder(tmp_path, 4)
    (tmp_path / "Circle").mkdir()
    for index in range(4):
        draw("square", 50 + index).save(tmp_path / "Circle" / f"{index}.png")
    dataset = load(str(tmp_path))
    assert dataset.info.classes == ("Circle", *SHAPES)
    assert "Circle and circle are two classes, which differ by case" in dataset.notices[0]


def test_files_that_are_left_out_are_told(tmp_path: Path) -> None:
    write_folder(tmp_path, 4)
    (tmp_path / "circle" / "notes.txt").write_text("x")
    (tmp_path / "circle" / ".DS_Store").write_text("x")
    draw("circle", 1).save(tmp_path / "loose.png")
    told = " ".join(load(str(tmp_path)).notices)
    assert "no images by their names are left out (1; the first is circle/notes.txt)" in told
    assert "beside the class folders are left out (1; the first is loose.png)" in told
    assert "DS_Store" not in told


def empty_class(root: Path) -> None:
    (root / "octagon").mkdir()


def single_image(root: Path) -> None:
    for path in sorted((root / "circle").iterdir())[1:]:
        path.unlink()


def no_images(root: Path) -> None:
    for path in root.rglob("*.png"):
        path.unlink()


def one_class(root: Path) -> None:
    for name in ("circle", "square"):
        for path in (root / name).iterdir():
            path.unlink()
        (root / name).rmdir()


def no_class_folders(root: Path) -> None:
    for index, path in enumerate(sorted(root.rglob("*.png"))):
        path.rename(root / f"{index}.png")
    for name in SHAPES:
        (root / name).rmdir()


def no_train(root: Path) -> None:
    (root / "test").mkdir()


def twice(root: Path) -> None:
    for name in ("val", "validation", "train"):
        (root / name).mkdir()
    (root / "train" / "circle").mkdir()


def link_to_nothing(root: Path) -> None:
    (root / "octagon").symlink_to(root / "gone")


def link_to_itself(root: Path) -> None:
    (root / "octagon").symlink_to(root / "octagon")


def not_unicode(root: Path) -> None:
    os.mkdir(os.fsencode(root) + b"/\xff")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (empty_class, "no image of class octagon to train on"),
        (single_image, "only one image of class circle: at least two are needed"),
        (no_images, "holds no images to train on"),
        (one_class, "has 1 class: at least two are expected"),
        (no_class_folders, "has no class folders"),
        (no_train, "has test, but no train"),
        (twice, "val and validation are both the val part"),
        (link_to_nothing, "octagon: cannot be read: No such file"),
        (link_to_itself, "octagon: cannot be read: Too many levels of symbolic links"),
        (not_unicode, "is no Unicode"),
    ],
)
def test_faults_of_folders(tmp_path: Path, damage: object, told: str) -> None:
    write_folder(tmp_path, 4)
    assert callable(damage)
    damage(tmp_path)
    assert told in refusal(lambda: load(str(tmp_path)))


def test_other_classes_in_another_part(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", 4)
    write_folder(tmp_path / "val", 4)
    (tmp_path / "val" / "square" / "x").mkdir()
    (tmp_path / "val" / "circle").rename(tmp_path / "val" / "oval")
    assert "has the class 'oval', which the train part has not" in refusal(
        lambda: load(str(tmp_path))
    )


def test_a_class_without_images_to_rank_by_is_told(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", 4)
    write_folder(tmp_path / "val", 4)
    for path in (tmp_path / "val" / "circle").iterdir():
        path.unlink()
    assert "no image of class circle in the validation part" in load(str(tmp_path)).notices[0]


def test_a_path_is_told_from_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "digits", 4)
    assert load("digits").info.image_shape == (1, 8, 8)
    assert load("./digits").info.classes == SHAPES
    assert "is not known: choose one of cifar10" in refusal(lambda: load("digit"))
    assert f"{tmp_path}/digit: no such folder or file" in refusal(lambda: load("./digit"))
    (tmp_path / "words.txt").write_text("x")
    assert "a folder with a folder of images for each class" in refusal(lambda: load("words.txt"))


@pytest.mark.parametrize("form", [(ImageForm, ((2, 2),)), (ImageForm, (None, 2))])
def test_forms_that_are_not_supported(form: tuple[type, tuple[object, ...]]) -> None:
    kind, arguments = form
    assert "expected" in refusal(lambda: kind(*arguments))
