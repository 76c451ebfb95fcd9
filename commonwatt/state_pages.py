"""What a running part shows of itself on HTTP: the newest state, told by its loop, drawn by HTTP's threads.

Read only, no account: it tells how the part fares and nothing of anyone's energy. What stands at which path is the
part's own (gateway/observe/http.py, aggregator/observe/http.py).
"""

from collections.abc import Callable, Mapping
from typing import Generic, Self, TypeVar

from commonwatt.bounded_http import Answer, Pages
from commonwatt.clock import Protocolar
from commonwatt.i18n import preferred

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

State = TypeVar("State")

Drawing = Callable[[str, State | None, float, str], Answer | None]
"""From path, newest state (None before the first), its age in protocol seconds and the reader's language."""


class StatePages(Generic[State]):
    """Serves the newest state while its `with` lasts. `to_do`: what to say when the address cannot be had."""

    def __init__(
        self,
        address: tuple[str, int],
        protocol: Protocolar,
        draw: Drawing[State],
        *,
        to_do: str,
        headers: Mapping[str, str] = HEADERS,
    ) -> None:
        self._protocol = protocol
        self._draw = draw
        self._seen: tuple[State | None, float] = None, protocol.monotonic_s()
        self._pages = Pages(address, self.answer, headers=headers, name="observe-http", to_do=to_do)

    def see(self, state: State) -> None:
        """Take the newest state; it must not be changed afterwards."""
        self._seen = state, self._protocol.monotonic_s()

    @property
    def port(self) -> int:
        """Where it listens, while it does."""
        return self._pages.port

    def __enter__(self) -> Self:
        self._pages.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._pages.__exit__(*exception)

    def answer(self, path: str, accept_language: str) -> Answer | None:
        """What is at a path, in the reader's language; None if nothing is."""
        state, told_s = self._seen
        return self._draw(path, state, self._protocol.monotonic_s() - told_s, preferred(accept_language))
