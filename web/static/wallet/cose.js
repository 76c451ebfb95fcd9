// What this browser signs: COSE_Sign1 in our one shape (docs/spec/cose.cddl) around deterministic CBOR.

import { join, sha256, unhex, utf8 } from "../verify/bytes.js";
import { array, decode, rows } from "../verify/cbor.js";
import { hint, sign } from "./keys.js";

const HEAD = unhex("d28443a10127a10448");
const TAIL = unhex("5840");
const CONTEXT = unhex("846a5369676e61747572653143a10127");

/** CBOR of integers, Uint8Array, strings, booleans, null and arrays of them, in its one spelling. */
export function encode(value) {
  if (value === null) return Uint8Array.of(0xf6);
  if (typeof value === "boolean") return Uint8Array.of(value ? 0xf5 : 0xf4);
  if (Number.isSafeInteger(value)) return value < 0 ? head(1, -1 - value) : head(0, value);
  if (value instanceof Uint8Array) return join(head(2, value.length), value);
  if (typeof value === "string") return join(head(3, utf8(value).length), utf8(value));
  if (Array.isArray(value)) return join(head(4, value.length), ...value.map(encode));
  throw new TypeError("cannot be written as CBOR");
}

function head(major, number) {
  const kind = major << 5;
  if (number < 24) return Uint8Array.of(kind | number);
  if (number < 2 ** 8) return Uint8Array.of(kind | 24, number);
  const view = new DataView(new ArrayBuffer(9));
  if (number < 2 ** 16) {
    view.setUint8(0, kind | 25);
    view.setUint16(1, number);
    return new Uint8Array(view.buffer, 0, 3);
  }
  if (number < 2 ** 32) {
    view.setUint8(0, kind | 26);
    view.setUint32(1, number);
    return new Uint8Array(view.buffer, 0, 5);
  }
  view.setUint8(0, kind | 27);
  view.setBigUint64(1, BigInt(number));
  return new Uint8Array(view.buffer);
}

/** A signed message. `kind`: what it is signed for; `genesis`: the ledger, as bytes. */
export async function sign1(payload, key, kind, genesis) {
  const aad = join(utf8(`commonwatt/v1/${kind}`), genesis);
  const signature = await sign(key, join(CONTEXT, encode(aad), encode(payload)));
  return join(HEAD, await hint(key.publicKey), encode(payload), TAIL, signature);
}

/** What an approver signs: SHA-256 of an entry's payload without its approvals, its last item. */
export async function statementOf(payload) {
  const entry = array(decode(payload), 6);
  const approvals = rows(entry[5]).spelled.length;
  return sha256(Uint8Array.of(0x85), payload.subarray(1, payload.length - approvals));
}

/** An approval of an entry. */
export const approve = async (payload, key, genesis) => sign1(await statementOf(payload), key, "approval", genesis);

export function base64url(bytes) {
  return btoa(Array.from(bytes, (octet) => String.fromCharCode(octet)).join(""))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function unbase64url(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}
