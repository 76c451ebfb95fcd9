// Brings signed payments of the outbox to the ledger, in a page or in the service worker (database.js says why it has
// neither imports nor exports).
//
// A payment is kept before it is sent the first time, and sent again as the same bytes until it is answered: the ledger
// places it once, whoever sends it how often. Its states:
//   waiting   signed and kept; `isSent`: it has left this browser at least once, so that it may have arrived
//   placed    it is in the log, at `place`
//   refused   it never will be; `told` says why
//   expired   it was not sent in time, and is not any more

{
  const { inStore } = self.commonwatt;
  const LOCK = "commonwatt-delivery";

  const put = (row) => inStore("readwrite", (store) => store.put(row, row.id), "outbox");
  const find = (id) => inStore("readonly", (store) => store.get(id), "outbox");

  /** One at a time in this browser, where it knows locks; without them the ledger still places each payment once. */
  const alone = (act) => (navigator.locks ? navigator.locks.request(LOCK, act) : act());

  /** Send one payment, if it still waits; how it stands then. `csrf`: of the page's session. */
  async function deliver(id, csrf) {
    const row = await find(id);
    if (row?.state !== "waiting") return row;
    if (!row.isSent && row.expires < Date.now() / 1000 + row.offset) return settle(row, { state: "expired" });
    if (!(await isThere())) return row;
    await put({ ...row, isSent: true });
    return settle(row, await answerTo(row, csrf));
  }

  /** Whether the server answers: what is not even tried can still be taken back. */
  async function isThere() {
    if (navigator.onLine === false) return false;
    return fetch("/clock", { cache: "no-store" }).then((answer) => answer.ok, () => false);
  }

  async function settle(row, answer) {
    const after = { ...row, ...answer, answered: Date.now() };
    await put(after);
    return after;
  }

  async function answerTo(row, csrf) {
    const body = new URLSearchParams({ entry: row.entry, csrf });
    let response, told;
    try {
      response = await fetch("/entries", { method: "POST", body, headers: { accept: "application/json" } });
      told = await response.json();
    } catch {
      return { isSent: true }; // nobody answered: it may have arrived, and is sent again
    }
    if (response.ok) return { isSent: true, state: "placed", place: told.place };
    if (response.status !== 422 || !told.refused) return { isSent: true, told: told.error };
    return { state: "refused", refused: told.refused, told: [told.error, told.to_do].filter(Boolean).join(" ") };
  }

  /** Send everything that waits for a subject, or for anybody; those rows as they stand then. */
  async function deliverAll({ subject, csrf } = {}) {
    const rows = await inStore("readonly", (store) => store.getAll(), "outbox");
    const after = [];
    for (const row of rows.filter((one) => one.state === "waiting" && (!subject || one.subject === subject))) {
      after.push(await alone(() => deliver(row.id, csrf ?? row.csrf)));
    }
    return after;
  }

  self.commonwatt.delivery = { deliver: (id, csrf) => alone(() => deliver(id, csrf)), deliverAll, put, find, alone };
}
