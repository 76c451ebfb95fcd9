"""Puts the firmware where a device has it: at the top of the module path. So do the helpers of tests for both."""

import sys
from pathlib import Path

_HERE = Path(__file__).parent
for _folder in (_HERE.parent.parent / "firmware", _HERE / "both"):
    sys.path.insert(0, str(_folder))
