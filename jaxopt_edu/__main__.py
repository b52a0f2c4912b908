"""`python -m jaxopt_edu` is the command `jaxopt-edu`."""

import sys

from jaxopt_edu.cli.program import main

sys.exit(main())
