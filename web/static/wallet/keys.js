// The keys of this browser: Ed25519, made here, never exported; in IndexedDB by the subject they sign for (hex).

import { join, sha256, utf8 } from "../verify/bytes.js";
import { says, Sorry } from "./ask.js";
import "./database.js";

const STORE = "keys";

/** Whether this browser can make such keys: it needs HTTPS or localhost, and WebCrypto's Ed25519. */
export async function canMake() {
  try {
    await crypto.subtle.generateKey("Ed25519", false, ["sign"]);
    return true;
  } catch {
    return false;
  }
}

export async function make() {
  const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign"]);
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  return { privateKey: pair.privateKey, publicKey };
}

/** Keep a key for a subject. The browser is asked not to throw it away when it needs room. */
export async function keep(subject, key) {
  await inStore("readwrite", (store) => store.put(key, subject));
  if (!(await find(subject))) throw new Sorry(says("forgets"));
  await navigator.storage?.persist?.();
}

export const find = (subject) => inStore("readonly", (store) => store.get(subject));

export const forget = (subject) => inStore("readwrite", (store) => store.delete(subject));

export async function sign(key, message) {
  return new Uint8Array(await crypto.subtle.sign("Ed25519", key.privateKey, message));
}

export const hint = async (publicKey) => (await sha256(publicKey)).subarray(0, 8);

/** What is in the database: `act` makes one request on its store. Sorry where a browser or window stores nothing. */
export async function inStore(mode, act, name = STORE) {
  try {
    return await self.commonwatt.inStore(mode, act, name);
  } catch (error) {
    throw error instanceof DOMException ? new Sorry(says("forgets")) : error;
  }
}
