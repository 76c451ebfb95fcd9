"""The few exceptions of Commonwatt. What a sender did wrong is a refusal, not an exception (refusal.py).

`UserError` ends a command with a sentence and no traceback. `StorageError` ends a service: a disk that is
full or a database that is locked must stop us before anything is acknowledged.
"""


class CommonwattError(Exception):
    """Base: a message for a person, and the exit code of the command that meets it."""

    exit_code = 1


class UserError(CommonwattError):
    """Something a person can put right: what is wrong, where, and what to do.

    A page shows `what` and `to_do`; where something lies on the server is for its operator.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: object = None, to_do: str | None = None) -> None:
        self.what, self.to_do = what, to_do
        place = f"{where}: " if where is not None else ""
        hint = f"\n→ {to_do}" if to_do else ""
        super().__init__(f"{place}{what}{hint}")


class FormatError(CommonwattError):
    """Bytes that are not what the specification says; `reason` names the check that failed."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}")


class StorageError(CommonwattError):
    """The disk or database failed; the service stops and what was not acknowledged is sent again."""

    exit_code = 3

    def __init__(self, what: str, *, where: object, to_do: str) -> None:
        super().__init__(f"{where}: {what}\n→ {to_do}")


class InUseError(StorageError):
    """Another process has the store open; nothing is wrong with it."""
