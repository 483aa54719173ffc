"""`python -m fgbg COMMAND ...`: the same as `fgbg COMMAND ...`."""

import sys

from fgbg.pipeline.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
