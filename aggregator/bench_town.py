"""A town of any size for benchmarks: a ledger's state in which every device stands at a site of its own.

It is put together as a saved state is read, because admitting half a million devices would take longer than anything
that is measured; nobody signed these admissions.
"""

from collections.abc import Sequence

import numpy as np

from commonwatt.evidence_page import Octets, octets
from commonwatt.identity import ID_SIZE, KEY_SIZE, key_hint
from ledger.book.kinds import DeviceRole, Grade, Subject
from ledger.book.state import State
from ledger.book.subjects import ACCOUNT, DEVICE, IS_ACCOUNT, SITE, octets_of

RATED_POWER_W = 9000


def random_octets(rng: np.random.Generator, count: int, size: int) -> Octets:
    """So many rows of random bytes."""
    return np.frombuffer(rng.bytes(count * size), dtype=np.uint8).reshape(count, size).copy()


def settle(
    state: State,
    count: int,
    *,
    public_keys: Sequence[bytes] = (),
    roles: Sequence[DeviceRole] | None = None,
    members: int | None = None,
) -> None:
    """Let `count` sites with a device each have been admitted to a state, and `members` that hold them in turns;
    none: a member for each.

    The first devices have these `public_keys`; the keys of the others, and all wallets, are random bytes, which
    nobody will look at. `roles`: of each device; none: all are main meters.
    """
    rng = np.random.default_rng(count)
    members = count if members is None else members
    subjects = state.admissions.by_id
    accounts, sites, devices, hints, holders, others = subjects.__getstate__()
    first_account, first_site = len(subjects.accounts), len(subjects.sites)
    first_device, numbers = len(subjects.devices), np.arange(count)
    member, site, device = np.zeros(members, ACCOUNT), np.zeros(count, SITE), np.zeros(count, DEVICE)
    for rows in (member, site, device):
        octets_of(rows, "id")[:] = random_octets(rng, len(rows), ID_SIZE)
    octets_of(member, "wallet")[:] = random_octets(rng, members, KEY_SIZE)
    member["subject"], site["member"] = Subject.MEMBER, first_account + numbers % members
    device["site"] = first_site + numbers
    octets_of(device, "public_key")[:] = random_octets(rng, count, KEY_SIZE)
    octets_of(device, "public_key")[: len(public_keys)] = octets(public_keys, KEY_SIZE)
    device["rated_power_w"], device["grade"] = RATED_POWER_W, Grade.DEVICE
    device["role"] = DeviceRole.MAIN if roles is None else roles
    fresh = rng.integers(0, 2**63, count + members, dtype=np.uint64)
    fresh[: len(public_keys)] = [int.from_bytes(key_hint(key), "big") for key in public_keys]
    keys = np.concatenate([np.frombuffer(hints, dtype=np.uint64), fresh])
    behind = np.concatenate([first_device + numbers, IS_ACCOUNT + first_account + np.arange(members)]).astype(
        np.uint32
    )
    behind = np.concatenate([np.frombuffer(holders, dtype=np.uint32), behind])
    order = np.argsort(keys)
    columns = accounts + member.tobytes(), sites + site.tobytes(), devices + device.tobytes()
    subjects.__setstate__([*columns, keys[order].tobytes(), behind[order].tobytes(), others])
