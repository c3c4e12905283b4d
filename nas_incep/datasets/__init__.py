"""Data sets: their properties, their files, and how they are split and batched."""

from .dataset import Dataset, load, load_test
from .formats import Images
from .registry import DATASETS, DatasetInfo, dataset_info
from .splits import fingerprint

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetInfo",
    "Images",
    "dataset_info",
    "fingerprint",
    "load",
    "load_test",
]
