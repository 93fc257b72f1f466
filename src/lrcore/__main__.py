"""``python -m lrcore`` is the command ``lrcore``."""

import sys

from lrcore.cli import main

sys.exit(main())
