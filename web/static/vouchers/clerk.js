// What a clerk's browser signs with keys that it keeps for others: each draft says for whom (subject). Forms: data-clerk.

import { onSubmit, post, says, Sorry } from "../wallet/ask.js";
import { base64url } from "../wallet/cose.js";
import { find, keep, make } from "../wallet/keys.js";
import { signDraft } from "../wallet/sign.js";

for (const form of document.querySelectorAll("form[data-clerk]")) {
  onSubmit(form, async (fields) => {
    const texts = Object.fromEntries(fields);
    let told = await post(form.action, texts);
    while (told.payload) {
      const key = await find(told.subject);
      if (!key) throw new Sorry(says("no-key-kept"));
      told = await post(told.post, { ...texts, signed: await signDraft(told, key) });
    }
    location.assign(told.next ?? location.href);
  });
}

for (const form of document.querySelectorAll("form[data-keep]")) {
  onSubmit(form, async () => {
    const key = await make();
    const draft = await post(form.action, { public_key: base64url(key.publicKey) });
    const fields = { public_key: base64url(key.publicKey), payload: draft.payload, approval: await signDraft(draft, key) };
    await keep(form.dataset.keep, key); // before anybody is asked to sign for it
    await post(form.action, fields);
    location.reload();
  });
}
