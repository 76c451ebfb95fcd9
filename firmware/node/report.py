"""What the device tells a person who looks: one small file, written again when something changed."""

from node.port import const, sleep_ms

_EVERY_MS = const(1000)


async def report(path, write, journal, sampler, link, delivery, services=None):
    """Write the state to `path` by `write(path, dict)` about once a second, if it is another one, for ever."""
    last = None
    while True:
        state = describe(journal, sampler, link, delivery)
        if services is not None:
            state.update(services.describe())
        if state != last:
            try:
                write(path, state)
                last = state
            except OSError:
                pass  # a full disk must not stop the sampling; the next change tries again
        await sleep_ms(_EVERY_MS)


def describe(journal, sampler, link, delivery):
    """The state as a flat dict: counts since boot, except `next_seq` and `refused`, which the journal keeps."""
    return {
        "link_up": link.is_up,
        "connects": link.connects,
        "link_failures": link.failures,
        "link_reasons": link.reasons,
        "oversized": link.oversized,
        "samples_taken": sampler.taken,
        "samples_missed": sampler.missed,
        "samples_failed": sampler.failed,
        "samples_undated": sampler.undated,
        "samples_pending": len(journal.samples),
        "next_seq": journal.next_seq,
        "backlog": journal.backlog(),
        "journal_damaged": journal.damaged,
        "sent": delivery.sent,
        "resent": delivery.resent,
        "acknowledged": delivery.acknowledged,
        "refused": {str(reason): count for reason, count in journal.refused.items()},
        "acks_malformed": delivery.acks_malformed,
        "acks_unexpected": delivery.acks_unexpected,
        "acks_wrong_hash": delivery.acks_wrong_hash,
        "acks_unwritten": delivery.acks_unwritten,
    }
