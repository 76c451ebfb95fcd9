// /recover: sees which of the keys this browser has, shows what it may do, and signs with it.

import { unhex } from "../verify/bytes.js";
import { onSubmit, post, says, Sorry } from "./ask.js";
import { keyOf, numberOf, readCode } from "./code.js";
import { approve, base64url, unbase64url } from "./cose.js";
import { confirmed } from "./forms.js";
import { canMake, find, keep, make } from "./keys.js";
import { signDraft } from "./sign.js";

const LOOK_MS = 1500;
const page = document.getElementById("recover");
const { subject, genesis, key: ledgerKey } = document.body.dataset;
const { newKey, guardKeys } = page.dataset;
const spelled = (key) => key && base64url(key.publicKey);
const own = await find(subject), guard = await find(`guard:${subject}`);

const isHolder = own && spelled(own) === base64url(unhex(ledgerKey));
const isHelper = guard && guardKeys.split(" ").includes(spelled(guard));
const state = isHolder ? (newKey ? "holder-asked" : "holder")
  : newKey && own && spelled(own) === newKey ? "waiting"
  : isHelper ? (newKey ? "helper-asked" : "helper")
  : newKey ? "other" : "empty";

for (const part of page.querySelectorAll("[data-when]")) part.hidden = !part.dataset.when.split(" ").includes(state);
if (newKey) {
  const number = await numberOf(unbase64url(newKey));
  for (const place of page.querySelectorAll("[data-new-number]")) place.textContent = number;
}

on("begin", async () => {
  if (!(await canMake())) throw new Sorry(says("no-keys-here"));
  const key = own && (await stateOf(own)).state !== "replaced" ? own : await make();
  await keep(subject, key); // before the server hears of it: a page that is closed halfway goes on with the same key
  const fields = { public_key: spelled(key) };
  let answer = await post("/recover", fields);
  if (answer.payload) {
    const approval = base64url(await approve(unbase64url(answer.payload), key, unhex(answer.genesis)));
    answer = await post("/recover", { ...fields, payload: answer.payload, approval });
  }
  location.reload();
});

on("agree", async (_fields, form) => {
  if (!(await confirmed(form.dataset.confirm))) return;
  await signWith(isHolder ? own : guard);
  location.reload();
});

on("with-code", async (fields) => {
  const code = await readCode(fields.get("code"));
  if (!code) throw new Sorry(says("code-typo"));
  await signWith(await keyOf(code, unhex(subject), unhex(genesis)));
  location.reload();
});

if (state === "waiting") setTimeout(look, LOOK_MS);

/** Sign for the new key with a key that may help. The browser checks that it is that key which is asked for. */
async function signWith(key) {
  const fields = { public_key: spelled(key) };
  const draft = await post("/recover/sign", fields);
  const { decode } = await import("../verify/cbor.js");
  const [, , wanted] = decode(unbase64url(draft.payload))[4];
  if (base64url(wanted) !== newKey) throw new Sorry(says("broken"));
  await post("/recover/sign", { ...fields, signed: await signDraft(draft, key) });
}

async function stateOf(key) {
  return (await fetch(`/recover/state?key=${spelled(key)}`, { headers: { accept: "application/json" } })).json();
}

/** Wait for the others: the page is loaded again when one has agreed, and left when the key counts. */
async function look() {
  const told = await stateOf(own).catch(() => ({ state: "waiting", signed: Number(page.dataset.signed) }));
  if (told.state === "current") location.assign("/me");
  else if (told.state !== "waiting" || told.signed !== Number(page.dataset.signed)) location.reload();
  else setTimeout(look, LOOK_MS);
}

function on(name, act) {
  const form = document.getElementById(name);
  if (form) onSubmit(form, act);
}
