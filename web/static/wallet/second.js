// /guard/second/…: this browser makes a key that may help its owner to a new one; it signs nothing else.

import { onSubmit, post, says, Sorry } from "./ask.js";
import { numberOf } from "./code.js";
import { base64url } from "./cose.js";
import { canMake, find, keep, make } from "./keys.js";

const form = document.getElementById("second");

onSubmit(form, async () => {
  if (!(await canMake())) throw new Sorry(says("no-keys-here"));
  const { owner } = form.dataset;
  if (await find(owner)) throw new Sorry(says("has-key"));
  const name = `guard:${owner}`;
  const key = (await find(name)) ?? (await make());
  await keep(name, key);
  await post(location.pathname, { public_key: base64url(key.publicKey) });
  const made = document.getElementById("made");
  made.querySelector(".number").textContent = await numberOf(key.publicKey);
  made.hidden = false;
  form.hidden = true;
});
