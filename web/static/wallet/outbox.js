// The payments that this browser has signed: prepared here, delivered by delivery.js, shown as long as they wait.

import { unhex } from "../verify/bytes.js";
import { filled, says, Sorry } from "./ask.js";
import { base64url, encode, sign1 } from "./cose.js";
import "./database.js";
import "./delivery.js";

const { delivery, inStore } = self.commonwatt;
const VERSION = 1, TRANSFER = 7;
const KEPT_MAX = 100;

/** The transfer of docs/spec/entry.cddl, kind 7. */
export function transferOf(payment) {
  const body = [unhex(payment.from), unhex(payment.to), payment.amount, payment.memo];
  return encode([VERSION, TRANSFER, unhex(payment.id), payment.time, body, []]);
}

/**
 * Sign a payment and keep it. One with the same id that waits or is placed stays as it is: a second tab, the back
 * button and a double tap find it, and send the same bytes.
 */
export const prepare = (payment, key) => delivery.alone(async () => {
  const kept = await delivery.find(payment.id);
  if (kept && ["waiting", "placed"].includes(kept.state)) return kept;
  const entry = base64url(await sign1(transferOf(payment), key, "transfer", unhex(payment.genesis)));
  const row = { ...payment, entry, state: "waiting", isSent: false, prepared: Date.now() };
  await delivery.put(row);
  await forgetOldest();
  return row;
});

/** Send a payment; where it leads then. Sorry if the ledger refuses it, or it is too late. */
export async function send(row) {
  const sent = await delivery.deliver(row.id, document.body.dataset.csrf);
  if (sent.state === "refused") throw new Sorry(sent.told);
  if (sent.state === "expired") throw new Sorry(says("too-late"));
  if (sent.state === "waiting") await wake();
  return sent;
}

export const find = (id) => delivery.find(id);

/** What the subject's payments are, the newest first. */
export async function rowsOf(subject) {
  const rows = await inStore("readonly", (store) => store.getAll(), "outbox");
  return rows.filter((row) => row.subject === subject).sort((a, b) => b.prepared - a.prepared);
}

/** Take back what never left this browser; false: it may have arrived. */
export const cancel = (id) => delivery.alone(async () => {
  const row = await delivery.find(id);
  const canBe = row && row.state !== "placed" && !(row.state === "waiting" && row.isSent);
  if (canBe) await forget(id);
  return canBe;
});

export const forget = (id) => inStore("readwrite", (store) => store.delete(id), "outbox");

/** Ask the browser to send it when there is a connection again, even when no page is open. */
async function wake() {
  const worker = await navigator.serviceWorker?.getRegistration();
  await worker?.sync?.register("outbox").catch(() => {}); // not everywhere; then the next page sends it
}

/** Answered ones are kept so that they are known again; not for ever. */
async function forgetOldest() {
  const rows = await inStore("readonly", (store) => store.getAll(), "outbox");
  const answered = rows.filter((row) => row.state !== "waiting").sort((a, b) => b.prepared - a.prepared);
  for (const row of answered.slice(KEPT_MAX)) await forget(row.id);
}

/** How a payment stands, in a sentence. */
export function standing(row) {
  if (row.state === "refused") return filled("was-refused", { why: row.told });
  if (row.state === "expired") return says("too-late");
  return row.told ?? says(row.isSent ? "may-be-sent" : "will-be-sent");
}
