// The form of a payment: asks again with name and amount, then puts the transfer together, signs, keeps and sends it.

import { equal, unhex } from "../verify/bytes.js";
import { filled, onSubmit, says, Sorry } from "./ask.js";
import { amountIn, written } from "./amount.js";
import { offset, timeNow, timeWith } from "./clock.js";
import { ownKey } from "./sign.js";
import { find, prepare, send, standing } from "./outbox.js";

const form = document.getElementById("payment");
const told = JSON.parse(document.getElementById("told").textContent);
const alert = form.querySelector("[role=alert]");
const sure = document.getElementById("sure");

/** Whose key this browser has is known before anything is typed. */
async function checkKey() {
  const key = await ownKey();
  if (told.wallet && !equal(key.publicKey, unhex(told.wallet))) throw new Sorry(says("other-key"));
  return key;
}

/** What stands in the form. The id is the address's or the code's; without a connection the page has made one. */
function payment() {
  const amount = told.amount_mc ?? amountIn(form.elements.amount.value);
  const memo = told.memo || (form.elements.memo?.value ?? "").trim();
  if (new TextEncoder().encode(memo).length > 256) throw new Sorry(says("memo-too-long"));
  const { from, to, id, genesis, unit, payee } = told;
  if (!to) throw new Sorry(says("choose-whom"));
  const session = { subject: document.body.dataset.subject, csrf: document.body.dataset.csrf };
  return { from, to, id, genesis, unit, payee, amount, memo, ...session };
}

/** Past the soft limit it is told before, past the hard one it is not signed at all. */
function warningOf(amount) {
  const left = told.free_mc - amount, values = { free: `${written(told.free_mc)} ${told.unit}` };
  if (left < -told.hard_mc) throw new Sorry(filled("not-enough", values));
  if (left < -told.soft_mc) return filled("past-soft-limit", { owed: `${written(-left)} ${told.unit}` });
  return "";
}

async function isSure(wanted) {
  const amount = `${written(wanted.amount)} ${wanted.unit}`;
  const lines = {
    question: filled("pay-question", { amount, name: wanted.payee }), memo: wanted.memo, warning: warningOf(wanted.amount),
  };
  for (const [name, text] of Object.entries(lines)) {
    const line = sure.querySelector(`[data-line=${name}]`);
    line.textContent = text;
    line.hidden = !text;
  }
  sure.querySelector("[value=yes]").textContent = filled("pay-amount", { amount });
  sure.returnValue = "";
  sure.showModal();
  await new Promise((resolve) => sure.addEventListener("close", resolve, { once: true }));
  return sure.returnValue === "yes";
}

/** Where a payment has led. The page of the payment is replaced: the way back does not lead through it. */
function show(row) {
  if (row.state === "placed") return location.replace(`/paid/${row.id}`);
  document.getElementById("kept").hidden = false;
  const amount = `${written(row.amount)} ${row.unit}`;
  document.getElementById("kept-what").textContent = filled("prepared", { amount, name: row.payee });
  document.getElementById("kept-how").textContent = standing(row);
  form.hidden = true;
  dispatchEvent(new Event("outbox-kept"));
}

onSubmit(form, async () => {
  const key = await checkKey();
  const wanted = payment();
  if (!(await isSure(wanted))) return;
  const behind = await offset();
  const row = await prepare({ ...wanted, offset: behind, time: timeWith(behind), expires: told.expires_s }, key);
  show(await send(row));
});

/** Without a connection the page is one for all: whom to pay stands in the address, and its list knows the names. */
function fillIn() {
  const holder = location.pathname.match(/^\/pay\/([0-9a-f]{32})$/)?.[1] ?? "";
  const chosen = form.elements.payee;
  const isChosen = () => Object.assign(told, { to: chosen.value, payee: told.people[chosen.value] ?? "" });
  chosen.value = holder in told.people ? holder : "";
  chosen.addEventListener("change", isChosen);
  isChosen();
  told.id = new URLSearchParams(location.search).get("n")?.match(/^[0-9a-f]{32}$/)?.[0] ?? freshId();
  told.expires_s = timeNow() + 30 * 86_400;
}

/** It stays the same when the page is loaded again. */
function freshId() {
  const octets = crypto.getRandomValues(new Uint8Array(16));
  const id = Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
  history.replaceState(null, "", `?n=${id}`);
  return id;
}

async function begin() {
  if (told.people) fillIn();
  const kept = await find(told.id);
  if (kept?.state === "placed" || kept?.state === "waiting") return show(kept);
  await checkKey();
}

/** What waited was sent meanwhile (offline.js). */
addEventListener("outbox", async () => {
  const row = await find(told.id);
  if (row && form.hidden) show(row);
});

// The way back may show the page as it was left: what was paid meanwhile is known.
addEventListener("pageshow", () => begin().catch((error) => {
  alert.textContent = error instanceof Sorry ? error.message : says("broken");
  alert.hidden = false;
  form.querySelector("button").disabled = error instanceof Sorry;
  if (!(error instanceof Sorry)) console.error(error);
}));
