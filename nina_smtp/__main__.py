"""``python -m nina_smtp``: the same as ``nina-smtp``."""

import sys

from nina_smtp.cli import main

sys.exit(main())
