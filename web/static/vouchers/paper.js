// A voucher in a browser: its key follows from what stands on the paper (web/vouchers/paper.py), and signs whom to pay.

import { join, sha256, unhex, utf8 } from "../verify/bytes.js";
import { base64url, encode, sign1 } from "../wallet/cose.js";

const PKCS8 = unhex("302e020100300506032b657004220420");

/** The parts of "12-5-K7QD9M2FXX3BA1CZ"; null if it is none. */
export function read(text) {
  const spelled = text.trim().toUpperCase().replace(/\s/g, "").replaceAll(",", ".");
  const found = /^(\d{1,12})-(\d{1,3}(?:\.\d{1,3})?)-([0-9A-HJKMNP-TV-Z]{16})$/.exec(spelled);
  return found && { code: found[0], number: Number(found[1]), amount: Math.round(Number(found[2]) * 1000) };
}

/** The claim of a voucher for an account (hex), as base64url. */
export async function claim(voucher, account, genesis) {
  const seed = await sha256(join(utf8("commonwatt voucher"), unhex(genesis), utf8(voucher.code)));
  // The public half is wanted for the hint; a key that is made from a seed must be exported once for it.
  const open = await crypto.subtle.importKey("pkcs8", join(PKCS8, seed), "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", open);
  const publicKey = Uint8Array.from(atob(x.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
  const payload = encode([1, voucher.number, unhex(account)]);
  return base64url(await sign1(payload, { privateKey: open, publicKey }, "voucher", unhex(genesis)));
}
