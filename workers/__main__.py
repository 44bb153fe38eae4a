"""`python -m workers`: what the coordinator's supervisor starts."""

import sys

from workers.app import main

sys.exit(main())
