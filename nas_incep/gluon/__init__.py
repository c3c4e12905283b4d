"""The only part of the package that imports MXNet and GluonCV.

Importing it makes the notebook's network and every registered bundle known to
`gluoncv.model_zoo.get_model`.
"""

import contextlib

from ..errors import InputError
from . import zoo

# Without GluonCV the search still works; what needs its networks then says so.
with contextlib.suppress(InputError):
    zoo.announce()
