"""French and English by locale: `_` marks and translates every sentence that a person reads.

Texts are English in the code; commonwatt/locale holds the French ones (gettext; `make locale` compiles them).
The first of LANGUAGE, LC_ALL, LC_MESSAGES and LANG that is set decides, as gettext does everywhere.
"""

import gettext
from pathlib import Path

LOCALE_DIR = Path(__file__).parent / "locale"
DOMAIN = "commonwatt"

_ = gettext.translation(DOMAIN, LOCALE_DIR, fallback=True).gettext
