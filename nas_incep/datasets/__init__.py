"""Data sets: their properties, their files, and how they are split and batched."""

from .arrays import write_arrays
from .dataset import Dataset, count_test, load, load_test
from .form import ImageForm, check_form
from .formats import Images
from .registry import DATASETS, DatasetInfo, canonical_dataset, dataset_info, is_own
from .splits import fingerprint

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetInfo",
    "ImageForm",
    "Images",
    "canonical_dataset",
    "check_form",
    "count_test",
    "dataset_info",
    "fingerprint",
    "is_own",
    "load",
    "load_test",
    "write_arrays",
]
