"""The package as GluonCV's users know it.

Importing it makes MXNet importable where the installed Python and numpy are newer than it, and
makes the notebook's network and every registered bundle known to `gluoncv.model_zoo.get_model`.
"""

import contextlib

from ..engines.gluon import zoo
from ..errors import InputError

# Without GluonCV the search still works; what needs its networks then says so.
with contextlib.suppress(InputError):
    zoo.announce()
