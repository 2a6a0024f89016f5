"""`python -m memcom_tf.cli`."""

import sys

from memcom_tf.cli import import_path

if __name__ == "__main__":
    import_path.forget_current_folder()  # which `python -m` puts first
    from memcom_tf.cli.main import main

    sys.exit(main())
