"""The public interface for users of GluonCV.

Importing it registers the notebook's network and every registered bundle with
`gluoncv.model_zoo.get_model`.
"""

import contextlib

from ..engines.gluon import zoo
from ..errors import InputError

# The search also works without GluonCV; whatever needs its networks then raises InputError.
with contextlib.suppress(InputError):
    zoo.announce()
