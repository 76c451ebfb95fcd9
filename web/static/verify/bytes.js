// Bytes as hex, base64 and text; SHA-256 and Ed25519 of the browser (WebCrypto).

/** What is wrong with something that was read. `reason` names the sentence that a person is told. */
export class Broken extends Error {
  constructor(reason, values = {}) {
    super(reason);
    this.reason = reason;
    this.values = values;
  }
}

export function require(holds, reason = "malformed", values = {}) {
  if (!holds) throw new Broken(reason, values);
}

export function equal(a, b) {
  return a.length === b.length && a.every((octet, at) => octet === b[at]);
}

export function join(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function hex(bytes) {
  return Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

export function unhex(text) {
  require(/^([0-9a-f]{2})*$/.test(text));
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Standard, padded base64 in its one spelling. */
export function unbase64(text) {
  let binary;
  try {
    binary = atob(text);
  } catch {
    throw new Broken("malformed");
  }
  require(btoa(binary) === text);
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

export const utf8 = (text) => new TextEncoder().encode(text);

export function text(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Broken("malformed");
  }
}

export async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", join(...parts)));
}

/** Whether this browser can check Ed25519 at all. */
export async function canVerify() {
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32).fill(1), { name: "Ed25519" }, false, ["verify"]);
    return true;
  } catch (error) {
    return error.name !== "NotSupportedError";
  }
}

export async function isSignedBy(publicKey, signature, message) {
  try {
    const key = await crypto.subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
    return await crypto.subtle.verify({ name: "Ed25519" }, key, signature, message);
  } catch (error) {
    if (error.name === "NotSupportedError") throw error;
    return false;
  }
}
