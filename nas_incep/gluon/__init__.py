"""The only part of the package that imports MXNet and GluonCV.

Importing it makes the notebook's network and every registered bundle known to
`gluoncv.model_zoo.get_model`.
"""

from . import zoo

zoo.announce()
