// A code for paper, and the Ed25519 key that follows from it. Neither leaves the browser.
//
// 20 signs of 32 (100 random bits) and 4 that check them. seed = PBKDF2-HMAC-SHA-256(the 20 signs,
// salt = "commonwatt/v1/guard" genesis account, 200,000 rounds, 32 bytes).

import { join, sha256, utf8 } from "../verify/bytes.js";
import { unbase64url } from "./cose.js";

const SIGNS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"; // no 0, 1, I and O
const SECRET = 20, CHECK = 4, GROUP = 4;
const ROUNDS = 200_000;
const PKCS8 = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20); // RFC 8410

const spelled = (bytes) => Array.from(bytes, (octet) => SIGNS[octet % SIGNS.length]).join("");

const checkOf = async (secret) => spelled((await sha256(utf8(`commonwatt/v1/code${secret}`))).subarray(0, CHECK));

/** A new code, in one piece. */
export async function makeCode() {
  const secret = spelled(crypto.getRandomValues(new Uint8Array(SECRET))); // 256 is a multiple of 32: no sign is likelier
  return secret + (await checkOf(secret));
}

/** "ABCD EFGH …" */
export const grouped = (code) => code.match(new RegExp(`.{1,${GROUP}}`, "g")).join(" ");

/** What was typed, in one piece; "" if it is no code. */
export async function readCode(typed) {
  const code = typed.toUpperCase().replace(/[^0-9A-Z]/g, "");
  const secret = code.slice(0, SECRET);
  return code.length === SECRET + CHECK && code.slice(SECRET) === (await checkOf(secret)) ? code : "";
}

/** The key of a code, for an account of a ledger (bytes). */
export async function keyOf(code, account, genesis) {
  const material = await crypto.subtle.importKey("raw", utf8(code.slice(0, SECRET)), "PBKDF2", false, ["deriveBits"]);
  const salt = join(utf8("commonwatt/v1/guard"), genesis, account);
  const seed = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations: ROUNDS }, material, 256);
  const pkcs8 = join(PKCS8, new Uint8Array(seed));
  const open = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  const publicKey = unbase64url((await crypto.subtle.exportKey("jwk", open)).x);
  return { privateKey: await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]), publicKey };
}

/** Twelve digits by which people see that two screens mean the same key. */
export async function numberOf(publicKey) {
  const digest = await sha256(join(utf8("commonwatt/v1/number"), publicKey));
  const number = new DataView(digest.buffer, digest.byteOffset).getBigUint64(0) % 10n ** 12n;
  return number.toString().padStart(12, "0").replace(/(.{4})(?=.)/g, "$1 ");
}
