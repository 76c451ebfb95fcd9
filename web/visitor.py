"""Who asks for a page, and what they sent with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from starlette.requests import Request

from commonwatt.errors import UserError
from commonwatt.i18n import _
from web.identity.logins import Login
from web.roles import Role


class Sorry(UserError):  # noqa: N818 it is what is said to them
    """What a visitor cannot have, in a sentence for them and what to do instead."""

    def __init__(self, says: str, to_do: str) -> None:
        super().__init__(says, to_do=to_do)


@dataclass(frozen=True, slots=True)
class Visitor:
    """`login`: None for anybody. `csrf`: what forms of this session carry."""

    role: Role
    login: Login | None = None
    csrf: str = ""
    key: bytes = b""
    """The public key that signs for them in the ledger now; b"": none does."""

    @property
    def subject(self) -> bytes:
        """The account or role key that they sign in for."""
        assert self.login is not None, "the page is for people who are signed in"
        return self.login.subject


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that was let in. `form`: texts of a posted form; `files`: what was uploaded with it."""

    request: Request
    visitor: Visitor
    language: str
    now_s: int
    form: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """What was asked for."""
        return self.request.url.path

    @property
    def wants_json(self) -> bool:
        """Whether a module of ours asks, instead of a person."""
        return "application/json" in self.request.headers.get("accept", "")

    def part(self, name: str) -> str:
        """What stands in the address for a name of the route."""
        return str(self.request.path_params[name])

    def without(self, name: str) -> "Ask":
        """The same without a field of its form."""
        return replace(self, form={key: value for key, value in self.form.items() if key != name})

    def text(self, name: str, *, chars_max: int = 200, is_needed: bool = True) -> str:
        """A field of the form without spaces around it. Sorry if it is missing or too long."""
        value = self.form.get(name, "").strip()
        if is_needed and not value:
            raise Sorry(_("Something is missing: {name}.").format(name=name), _("Fill it in and try again."))
        if len(value) > chars_max or not value.isprintable():
            raise Sorry(
                _("This text cannot be taken: {name}.").format(name=name),
                _("Write at most {count} plain letters.").format(count=chars_max),
            )
        return value
