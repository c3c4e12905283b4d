"""Data sets: what they are, where their files lie, how they are cut and batched."""

from .dataset import Dataset, fingerprint, load, load_test
from .files import Images
from .registry import DATASETS, DatasetInfo, dataset_info

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
