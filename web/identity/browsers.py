"""What a browser is called in a list that its owner reads, from its User-Agent. Pure."""

_NAMES = (
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Edg", "Edge"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("OPR/", "Opera"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
"""The first that is found counts: most claim to be Safari and Chrome as well."""
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("CrOS", "Chromebook"),
    ("Linux", "Linux"),
)


def name_of(user_agent: str) -> str:
    """ "Firefox, Android"; "" if it says nothing we know."""
    found = (next((name for mark, name in table if mark in user_agent), "") for table in (_NAMES, _SYSTEMS))
    return ", ".join(filter(None, found))
