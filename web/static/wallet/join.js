// Takes up an invitation: makes this browser's key, lets it agree to what the ledger will be asked, keeps it.

import { unhex } from "../verify/bytes.js";
import { onSubmit, post, says, Sorry } from "./ask.js";
import { approve, base64url, unbase64url } from "./cose.js";
import { canMake, find, forget, keep, make } from "./keys.js";

const form = document.getElementById("join");

onSubmit(form, async () => {
  if (!(await canMake())) throw new Sorry(says("no-keys-here"));
  // Kept before the server hears of it: a page that is closed halfway goes on with the same key.
  const provisional = location.pathname;
  const key = (await find(provisional)) ?? (await make());
  await keep(provisional, key);
  const fields = { public_key: base64url(key.publicKey) };
  let answer = await post(location.pathname, fields);
  if (answer.payload) {
    const payload = unbase64url(answer.payload);
    fields.payload = answer.payload;
    fields.approval = base64url(await approve(payload, key, unhex(answer.genesis)));
    answer = await post(location.pathname, fields);
  }
  await keep(answer.subject, key);
  await forget(provisional);
  location.assign(answer.next);
});
