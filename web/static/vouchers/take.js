// A shop takes vouchers: each claim is signed and kept here first, then sent; without a connection up to a limit.

import { filled, onSubmit, post, says, Sorry } from "../wallet/ask.js";
import { claim, read } from "./paper.js";

const STORE = `vouchers-${document.body.dataset.subject}`;
const form = document.getElementById("take"), list = document.getElementById("kept");
const { genesis, cap } = form.dataset;

const kept = () => JSON.parse(localStorage.getItem(STORE) ?? "[]");
const keep = (rows) => localStorage.setItem(STORE, JSON.stringify(rows));
const drop = (number) => keep(kept().filter((row) => row.number !== number));

onSubmit(form, async (fields) => {
  const voucher = read(fields.get("code"));
  if (!voucher) throw new Sorry(says("voucher-unclear"));
  if (navigator.onLine) await sendAll();
  const rows = kept().filter((row) => row.number !== voucher.number);
  const waiting = rows.reduce((sum, row) => sum + row.amount, 0);
  if (waiting + voucher.amount > Number(cap)) throw new Sorry(says("voucher-cap"));
  const signed = await claim(voucher, document.body.dataset.subject, genesis);
  keep([...rows, { number: voucher.number, amount: voucher.amount, claim: signed }]);
  form.reset();
  tell(await send(voucher.number));
  show();
});

/** Send one; what to tell. Who cannot be reached is asked again later; what is refused is dropped and told. */
async function send(number) {
  const row = kept().find((one) => one.number === number);
  if (!row) return "";
  if (!navigator.onLine) return says("voucher-kept");
  try {
    const told = await post(`/v/${number}/take`, { claim: row.claim });
    drop(number);
    return told.says;
  } catch (error) {
    if (!error.told?.final) {
      if (!error.told) return says("voucher-kept");
      throw error;
    }
    drop(number);
    show();
    throw error;
  }
}

async function sendAll() {
  for (const { number } of kept()) await send(number).then(tell, (error) => tell(error.message));
  show();
}

function tell(text) {
  const said = document.getElementById("taken");
  said.textContent = text;
  said.hidden = !text;
}

function show() {
  const rows = kept();
  list.hidden = !rows.length;
  const sum = rows.reduce((total, row) => total + row.amount, 0) / 1000;
  list.textContent = rows.length ? filled("voucher-waiting", { count: rows.length, sum: sum.toLocaleString(document.documentElement.lang) }) : "";
}

if (location.hash && form.dataset.number) {
  form.elements.code.value = `${form.dataset.number}-${decodeURIComponent(location.hash.slice(1))}`;
  history.replaceState(null, "", location.pathname); // the secret stays in no history
}
addEventListener("online", sendAll);
show();
if (navigator.onLine) sendAll();
