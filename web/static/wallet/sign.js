// Signs what the server drafted, with the key that this browser has for who is signed in.

import { unhex } from "../verify/bytes.js";
import { array, decode } from "../verify/cbor.js";
import { post, says, Sorry } from "./ask.js";
import { approve, base64url, sign1, unbase64url } from "./cose.js";
import { find } from "./keys.js";

const ENTRY = 6, STATEMENT = 8;

/** The key of who is signed in; Sorry if it is in another browser. */
export async function ownKey() {
  const key = await find(document.body.dataset.subject);
  if (!key) throw new Sorry(says("no-key"));
  const { key: ledgerKey } = document.body.dataset;
  if (ledgerKey && base64url(unhex(ledgerKey)) !== base64url(key.publicKey)) throw new Sorry(says("other-key"));
  return key;
}

/** The signature of a draft {payload, kind, genesis, approve}, as base64url. */
export async function signDraft(draft, key) {
  const payload = unbase64url(draft.payload), genesis = unhex(draft.genesis);
  array(decode(payload), draft.kind === "statement" ? STATEMENT : ENTRY); // that, and nothing else
  return base64url(draft.approve ? await approve(payload, key, genesis) : await sign1(payload, key, draft.kind, genesis));
}

/** Ask an address for a draft, sign it, and bring it where it belongs, as often as another draft comes back; what was
 * answered last. `check` may look at each decoded draft before it is signed, and throw. */
export async function signAt(address, fields, check = () => {}) {
  const key = await ownKey();
  let told = await post(address, fields);
  const texts = Object.fromEntries([...fields].filter(([, value]) => typeof value === "string"));
  while (told.payload) {
    check(decode(unbase64url(told.payload)));
    const signed = await signDraft(told, key);
    told = await post(told.post, told.post === "/entries" ? { entry: signed } : { ...texts, signed });
  }
  return told;
}
