// On every page of somebody who is signed in: says plainly when this browser cannot sign for them, and why.

import { unhex } from "../verify/bytes.js";
import { base64url } from "./cose.js";
import { find } from "./keys.js";

const notice = document.getElementById("key-notice");
const { subject, key: ledgerKey } = document.body.dataset;

const state = await stateHere().catch(() => "forgets");
if (state) {
  for (const part of notice.querySelectorAll("[data-when]")) part.hidden = part.dataset.when !== state;
  notice.hidden = false;
}

/** "" where this browser has the key. */
async function stateHere() {
  const own = await find(subject);
  if (!own) return (await find(`guard:${subject}`)) ? "second" : "none";
  const spelled = base64url(own.publicKey);
  if (spelled === base64url(unhex(ledgerKey))) return "";
  try {
    const answer = await fetch(`/recover/state?key=${spelled}`, { headers: { accept: "application/json" } });
    const { state } = await answer.json();
    return state === "current" ? "" : state;
  } catch {
    return ""; // without a connection nobody knows; the next page asks again
  }
}
