"""`python -m nglab` is `nglab`."""

import sys

from nglab.cli import main

sys.exit(main())
