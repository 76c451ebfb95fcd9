"""The health page: one document without a script, for a phone. Values only; `_` speaks the reader's language."""

from html import escape
from string import Template

from commonwatt.i18n import _
from gateway.observe.findings import Finding, Level, worst

REFRESH_S = 30


def page(found: list[Finding], *, name: str, language: str) -> str:
    """The document. `name`: which gateway, as its owner knows it."""
    level = worst(found)
    return _PAGE.substitute(
        language=language,
        refresh_s=REFRESH_S,
        title=escape(f"{_headline(level)} – Commonwatt"),
        style=STYLE,
        level=level.name.lower(),
        headline=escape(_headline(level)),
        name=escape(name),
        lines="\n".join(_line(finding) for finding in found),
        foot=escape(_("This page renews itself every {count} seconds.").format(count=REFRESH_S)),
    )


def _headline(level: Level) -> str:
    match level:
        case Level.GREEN:
            return _("All is well")
        case Level.ORANGE:
            return _("It works, but look at this")
        case Level.RED:
            return _("Somebody must act")


def _line(finding: Finding) -> str:
    # The word beside the colour is for those who do not see colours.
    words = {Level.GREEN: _("well"), Level.ORANGE: _("look"), Level.RED: _("act")}
    to_do = f'<p class="do"><b>→</b> {escape(finding.to_do)}</p>' if finding.to_do else ""
    return (
        f'<li class="{finding.level.name.lower()}"><h2>{escape(finding.about)} '
        f"<small>{escape(words[finding.level])}</small></h2><p>{escape(finding.says)}</p>{to_do}</li>"
    )


STYLE = """
:root { color-scheme: light; --green: #17723a; --orange: #a34f00; --red: #b3141c }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 40rem; font: 1rem/1.45 system-ui, sans-serif; color: #1a1a1a; background: #f4f4f2 }
header { padding: 1.2rem 1rem; color: #fff; background: var(--level) }
header h1 { margin: 0; font-size: 1.5rem }
header p { margin: .2rem 0 0; overflow-wrap: anywhere }
.green { --level: var(--green) } .orange { --level: var(--orange) } .red { --level: var(--red) }
ul { list-style: none; margin: 0; padding: .5rem }
li { margin: .5rem 0; padding: .6rem .8rem; background: #fff; border-radius: .3rem;
     border-left: .5rem solid var(--level) }
li h2 { display: flex; justify-content: space-between; gap: 1rem; margin: 0; font-size: 1.05rem;
        overflow-wrap: anywhere }
li small { color: var(--level); font-weight: 600 }
li p { margin: .25rem 0 0; overflow-wrap: anywhere }
.do { color: var(--level) }
footer { padding: 0 1rem 1rem; color: #555; font-size: .9rem }
"""

_PAGE = Template("""<!doctype html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="$refresh_s">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header class="$level"><h1>$headline</h1><p>$name</p></header>
<main><ul>
$lines
</ul></main>
<footer>$foot</footer>
</body>
</html>
""")
