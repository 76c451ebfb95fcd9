// Signs what the server drafted, with the key that this browser has for who is signed in.

import { unhex } from "../verify/bytes.js";
import { array, decode } from "../verify/cbor.js";
import { post, says, Sorry } from "./ask.js";
import { approve, base64url, sign1, unbase64url } from "./cose.js";
import { find } from "./keys.js";

/** The key of who is signed in; Sorry if it is in another browser. */
export async function ownKey() {
  const key = await find(document.body.dataset.subject);
  if (!key) throw new Sorry(says("no-key"));
  return key;
}

/** The signature of a draft {payload, kind, genesis, approve}, as base64url. */
export async function signDraft(draft, key) {
  const payload = unbase64url(draft.payload), genesis = unhex(draft.genesis);
  array(decode(payload), 6); // an entry, and nothing else
  return base64url(draft.approve ? await approve(payload, key, genesis) : await sign1(payload, key, draft.kind, genesis));
}

/** Ask an address for a draft, sign it, and bring it where it belongs; what the ledger answered. `check` may look at
 * the decoded entry before it is signed, and throw. */
export async function signAt(address, fields, check = () => {}) {
  const key = await ownKey();
  const draft = await post(address, fields);
  if (!draft.payload) return draft;
  check(decode(unbase64url(draft.payload)));
  const signed = await signDraft(draft, key);
  return post(draft.post, draft.post === "/entries" ? { entry: signed } : { ...Object.fromEntries(fields), signed });
}
