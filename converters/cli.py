"""`memcom_tf.converters.cli`: the command line by the name that it had."""

import sys

from memcom_tf.cli import import_path
from memcom_tf.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    import_path.forget_current_folder()  # which `python -m` puts first
    sys.exit(main())
