"""Which key was in force at which place of a log: asked afterwards, the answer is what it was then."""

import random

import pytest

from commonwatt.identity import key_hint
from commonwatt.registry import Status
from ledger import testing
from ledger.audit import saved_state
from ledger.book import rules
from ledger.book.body import AdmitAccount, SetStatus, role_key_id
from ledger.book.kinds import Subject
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.book.tenures import Holder

ROLES = {"steward": "steward", "townhall": "townhall", "operator": "operator"}


def in_force(state: State) -> dict[bytes, Holder]:
    """By hint, the keys of wallets and roles that the next entry could be signed with."""
    found = {hint: Holder(row.public_key, role=row.role) for hint, row in state.founded.keys.items()}
    for row in state.admissions.by_id.values():
        if isinstance(row.admission, AdmitAccount) and row.status is Status.ACTIVE:
            found[key_hint(row.admission.wallet)] = Holder(row.admission.wallet, account=row.admission.id)
    return found


def step(dice: random.Random, number: int, keys: dict[str, str]) -> bytes:
    """Something that happens to somebody's key; `keys`: the present key of everybody, by name."""
    name, new, entry = dice.choice(list(keys)), f"key {number}", f"step {number}"
    signers = (keys["steward"], keys["townhall"])
    role = ROLES.get(name)
    subject = Subject.ROLE if role else Subject.MEMBER
    ident = role_key_id(testing.key(name).public_key) if role else testing.ident(name)
    match dice.randrange(4):
        case 0:
            keys[new] = new
            who = (testing.ident(new), testing.key(new).public_key, testing.commitment(new))
            return testing.signed(AdmitAccount(Subject.MEMBER, *who), keys["steward"])
        case 1:
            status = dice.choice([Status.ACTIVE, Status.ACTIVE, Status.SUSPENDED])
            body = SetStatus(subject, ident, status, "")
            return testing.signed(body, *(signers if role else signers[:1]), entry_id=entry)
        case _:
            by = dice.choice([signers, (keys[name],)])
            keys[name] = new
            return testing.rotation(subject, ident, new, *by, name=entry)


@pytest.mark.parametrize("seed", range(4))
def test_keys_when_they_are_looked_for_at_every_place(seed: int) -> None:
    """Admitted, replaced, suspended and active again, saved and read: as if somebody had looked at each entry."""
    dice, keys = random.Random(seed), {name: name for name in (*ROLES, "ana", "ben")}
    state, then = State(), []
    first = [testing.GENESIS, testing.member("ana"), testing.member("ben")]
    for number in range(150):
        then.append(in_force(state) if state.size else {})
        before = dict(keys)
        data = first[number] if number < len(first) else step(dice, number, keys)
        answer = rules.apply(state, data, state.size)
        if isinstance(answer, Refusal):
            keys = before
            then.pop()
        if number == 80:
            state = saved_state.decode(saved_state.encode(state))
    then.append(in_force(state))
    assert state.size > 60
    assert sum(map(len, state.tenures.past.values())) > 20
    hints = {hint for row in then for hint in row}
    for place, found in enumerate(then[1:], 1):
        assert {hint: who for hint in hints if (who := state.holder_at(hint, place))} == found, place
