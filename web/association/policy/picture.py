"""What a replay says, drawn: who would win and lose, and what each source would make. Pure."""

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup, escape

from commonwatt.i18n import _
from ledger.book.show import source_name
from web.association.policy.trials import Replayed
from web.looks import Words

WIDTH, HEIGHT, HEAD = 720, 260, 34
BARS_MAX = 60
"""More accounts are drawn as so many groups of equal size, each by its mean."""
ROW, GAP = 30, 22


def winners(replayed: Replayed, words: Words) -> Markup:
    """A bar an account, or a group of them: up for who would win, down for who would lose."""
    bars = grouped(replayed.changes_mc, BARS_MAX)
    most = max(map(abs, bars), default=0)
    highest, lowest = max([0, *bars]), min([0, *bars])
    room = (HEIGHT - 2 * HEAD) / max(1, highest - lowest)
    zero, step = HEAD + highest * room, WIDTH / max(1, len(bars))
    marks = []
    for at, change_mc in enumerate(bars):
        if not change_mc:
            continue
        tall, kind = abs(change_mc) * room, "wins" if change_mc > 0 else "loses"
        top = zero - tall if change_mc > 0 else zero
        said = _("{credits} credits").format(credits=signed(change_mc, words))
        marks.append(
            f'<rect class="{kind}" x="{at * step + step * 0.1:.1f}" y="{top:.1f}" width="{step * 0.8:.1f}" '
            f'height="{tall:.1f}"><title>{escape(said)}</title></rect>'
        )
    told = _("at most {credits} credits for one").format(credits=words.exact(most))
    marks.append(f'<text x="0" y="{HEAD - 10}">{escape(told)}</text>')
    title = _("What each account would win or lose, the winners first")
    return _svg(marks, HEIGHT, f"M0 {zero:.1f} H{WIDTH}", title)


def sources(replayed: Replayed, words: Words) -> Markup:
    """Two bars a source: what it makes now, and what it would."""
    most = max([1, *(max(before, after) for _n, before, after in replayed.sources)])
    marks, y = [], 0
    for number, before_mc, after_mc in replayed.sources:
        marks.append(f'<text x="0" y="{y + GAP}">{escape(source_name(number))}</text>')
        y += GAP + 12
        for kind, amount_mc in (("usual", before_mc), ("wins", after_mc)):
            said = _("{credits} credits").format(credits=words.exact(amount_mc))
            long = amount_mc * WIDTH / most
            marks.append(
                f'<rect class="{kind}" x="0" y="{y}" width="{long:.1f}" height="{ROW * 0.6:.1f}">'
                f"<title>{escape(said)}</title></rect>"
            )
            y += int(ROW * 0.7)
    return _svg(marks, max(y + 8, 40), f"M0 0 V{y}", _("Credits by source, now and proposed"))


def grouped(changes_mc: Sequence[int], count_max: int) -> list[int]:
    """At most so many numbers that stand for them: groups of neighbours, each by its mean."""
    count = len(changes_mc)
    if count <= count_max:
        return list(changes_mc)
    edges = [count * at // count_max for at in range(count_max + 1)]
    groups = [changes_mc[first:end] for first, end in pairwise(edges)]
    return [round(sum(group) / len(group)) for group in groups]


def signed(amount_mc: int, words: Words) -> str:
    """With a plus before what is won."""
    return f"{'+' if amount_mc > 0 else ''}{words.exact(amount_mc)}"


def _svg(marks: Sequence[str], height: int, axis: str, title: str) -> Markup:
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
    return Markup(f'{head}{"".join(marks)}<path class="axis" d="{axis}"/></svg>')  # noqa: S704 all of it was escaped
