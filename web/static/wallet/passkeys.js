// Passkeys: makes one on /me, signs in with one on /enter. The server asks (web/identity/passkey_pages.py), the
// device's authenticator answers after fingerprint, face or PIN.

import { onSubmit, post, says, Sorry } from "./ask.js";
import { base64url, unbase64url } from "./cose.js";
import { presence } from "./presence.js";

const isHere = "PublicKeyCredential" in window;

/** Options as the server wrote them, with bytes where browsers want bytes. */
function withBytes(options) {
  const descriptors = (rows = []) => rows.map((row) => ({ ...row, id: unbase64url(row.id) }));
  return {
    ...options,
    challenge: unbase64url(options.challenge),
    ...(options.user && { user: { ...options.user, id: unbase64url(options.user.id) } }),
    ...(options.excludeCredentials && { excludeCredentials: descriptors(options.excludeCredentials) }),
    ...(options.allowCredentials && { allowCredentials: descriptors(options.allowCredentials) }),
  };
}

/** A credential as JSON for the server. */
function spelled(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = base64url(new Uint8Array(credential.response[name]));
  }
  const { id, type } = credential;
  return JSON.stringify({ id, type, rawId: base64url(new Uint8Array(credential.rawId)), response, clientExtensionResults: {} });
}

/** What a person or device that says no is told. */
function refused(error) {
  if (error instanceof Sorry) return error;
  if (error.name === "InvalidStateError") return new Sorry(says("passkey-there"));
  return new Sorry(says("passkey-no"));
}

const adding = document.getElementById("add-passkey");
if (adding) {
  onSubmit(adding, async (fields) => {
    if (!isHere) throw new Sorry(says("passkey-never"));
    const sent = { name: fields.get("name"), presence: await presence() };
    const { options } = await post(adding.action, sent);
    const credential = await navigator.credentials.create({ publicKey: withBytes(options) }).catch((error) => { throw refused(error); });
    const answer = await post(adding.action, { ...sent, challenge: options.challenge, credential: spelled(credential) });
    location.assign(answer.next);
    if (location.pathname === "/me") location.reload();
  });
}

const entering = document.getElementById("passkey-enter");
if (entering && isHere) {
  const waiting = new AbortController();
  const enter = async (more) => {
    const { options } = await post("/passkey", {});
    const credential = await navigator.credentials.get({ publicKey: withBytes(options), ...more });
    const { to } = entering.dataset;
    const answer = await post("/passkey", { to, challenge: options.challenge, credential: spelled(credential) });
    location.assign(answer.next);
  };
  entering.closest("section").hidden = false;
  onSubmit(entering, async () => {
    waiting.abort();
    await enter({}).catch((error) => { throw refused(error); });
  });
  // Where the browser can, it offers passkeys below the address field, without a button.
  if (await PublicKeyCredential.isConditionalMediationAvailable?.()) {
    enter({ mediation: "conditional", signal: waiting.signal }).catch((error) => {
      if (!(error instanceof Sorry)) return; // nobody picked one
      const alert = entering.querySelector("[role=alert]");
      alert.textContent = error.message;
      alert.hidden = false;
    });
  }
}
