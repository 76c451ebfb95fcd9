// /me/guard/code: shows a code that was made here, and names its public half in the ledger once its owner has it.

import { unhex } from "../verify/bytes.js";
import { onSubmit, says, Sorry } from "./ask.js";
import { grouped, keyOf, makeCode } from "./code.js";
import { base64url } from "./cose.js";
import { ownKey, signAt } from "./sign.js";

const { subject, genesis } = document.body.dataset;
const code = await makeCode();
const key = await keyOf(code, unhex(subject), unhex(genesis));
document.getElementById("code").textContent = grouped(code);

const print = document.getElementById("print");
print.addEventListener("click", () => window.print());
print.disabled = false;

onSubmit(document.getElementById("have-code"), async (fields) => {
  await ownKey();
  const typed = fields.get("typed").toUpperCase().replace(/[^0-9A-Z]/g, "");
  if (typed !== code.slice(-8)) throw new Sorry(says("code-typo"));
  await signAt("/me/guard", new URLSearchParams({ code: base64url(key.publicKey) }), (entry) => mustName(entry, key));
  location.assign("/me/guard");
});

/** The server may draft a guard with this key only: it was made here. One key alone never suffices. */
function mustName(entry, wanted) {
  const [, k, keys] = entry[4];
  if (k !== 2 || !keys.some((found) => base64url(found) === base64url(wanted.publicKey))) throw new Sorry(says("broken"));
}
