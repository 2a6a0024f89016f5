"""Many methods at many sizes on one data set: a folder of models, files and figures."""

from memcom_tf.sweeps.rankers import EXAMPLES
from memcom_tf.sweeps.runs import Planned, Runs
from memcom_tf.sweeps.sweeping import COMPRESS, Sweep, sweep

__all__ = ["COMPRESS", "EXAMPLES", "Planned", "Runs", "Sweep", "sweep"]
