// Forms with data-presence: where this browser has the key of who is signed in, it signs this session's name, which
// shows that not only a cookie came here (web/identity/presence.py). Without the key the form is posted as it is.

import { unhex, utf8 } from "../verify/bytes.js";
import { base64url, sign1 } from "./cose.js";
import { find } from "./keys.js";

/** The signature, or "" where there is no key. */
export async function presence() {
  const { csrf, subject, genesis } = document.body.dataset;
  const key = await find(subject).catch(() => undefined);
  return key ? base64url(await sign1(utf8(csrf), key, "presence", unhex(genesis))) : "";
}

for (const form of document.querySelectorAll("form[data-presence]")) {
  form.addEventListener("submit", async (event) => {
    if (form.elements.presence) return;
    event.preventDefault();
    const field = Object.assign(document.createElement("input"), { type: "hidden", name: "presence", value: await presence() });
    form.append(field);
    form.requestSubmit(event.submitter);
    field.remove();
  });
}
