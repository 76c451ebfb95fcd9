// Entries as logged, and whose signatures they need: docs/spec/entry.cddl, cose.cddl.

import { Broken, equal, hex, isSignedBy, join, require, sha256, unhex, utf8 } from "./bytes.js";
import { array, decode, octets, rows, Row, uint } from "./cbor.js";

const HEAD = unhex("d28443a10127a10448");
const TAIL = unhex("5840");
const CONTEXT = unhex("846a5369676e61747572653143a10127");
const GENESIS = 1, ADMIT = 2, STATUS = 3, MINT = 5, TRANSFER = 7, ROTATE = 8, REDEEM = 13;
const DEVICE = 4, ASSOCIATION = 6, WITNESS = 7, ROLE = 8;
const WALLET_KINDS = [TRANSFER, 9, 10, 11];
const ACTIVE = 0, REVOKED = 2;
const LABELS = ["", "genesis", "admit", "status", "policy", "mint", "mint-run", "transfer", "rotate", "guard",
  "payment-request", "payment-answer", "top-up", "redeem", "credit-limit", "charge", "reverse", "hold", "release",
  "carry-forward"];

const hint = async (key) => hex((await sha256(key)).subarray(0, 8));

function bstr(bytes) {
  const size = bytes.length;
  if (size < 24) return join(Uint8Array.of(0x40 | size), bytes);
  if (size < 256) return join(Uint8Array.of(0x58, size), bytes);
  return join(Uint8Array.of(0x59, size >> 8, size & 255), bytes);
}

/** A COSE_Sign1 in our one shape: who is hinted at, what is signed, the signature. */
export function parseSigned(data) {
  const start = HEAD.length + 8, end = data.length - 64 - TAIL.length;
  require(end > start && equal(data.subarray(0, HEAD.length), HEAD) && equal(data.subarray(end, end + 2), TAIL));
  const payload = octets(decode(data.subarray(start, end)));
  return { kid: hex(data.subarray(HEAD.length, start)), payload, signature: data.subarray(-64) };
}

export async function isBy(message, publicKey, kind, genesis = new Uint8Array()) {
  const aad = join(utf8(`commonwatt/v1/${kind}`), genesis);
  const signed = join(CONTEXT, bstr(aad), bstr(message.payload));
  return message.kid === await hint(publicKey) && await isSignedBy(publicKey, message.signature, signed);
}

/** A mint leaf or a signed entry. */
export async function parseEntry(data) {
  if (data[0] !== HEAD[0]) return mintOf(array(decode(data), 12));
  const message = parseSigned(data);
  const [version, kind, id, time, body, approvals] = array(decode(message.payload), 6);
  require(version === 1 && kind in LABELS && kind !== MINT && kind > 0);
  const signed = rows(approvals).map((row) => parseSigned(octets(row)));
  // An approver signs the hash of the entry without its approvals: five items instead of six.
  const size = approvals.spelled.length;
  const statement = join(Uint8Array.of(0x85), message.payload.subarray(1, message.payload.length - size));
  return { kind, id: octets(id, 16), time: uint(time), body, message, approvals: signed, statement: await sha256(statement) };
}

function mintOf(row) {
  const [version, kind, , account, source, start, end, energy, amount, association, lines, root] = row;
  require(version === 1 && kind === MINT);
  return {
    kind, account: octets(account, 16), source: uint(source), start: uint(start), end: uint(end), energy: uint(energy),
    amount: uint(amount), association: uint(association), lines: uint(lines), linesRoot: octets(root, 32),
  };
}

/** What a device's admission says, or null. */
export function deviceOf(entry) {
  if (entry.kind !== ADMIT || entry.body[0] !== DEVICE) return null;
  const [, id, , publicKey, , power] = array(entry.body, 7);
  return { id: octets(id, 16), publicKey: octets(publicKey, 32), power: uint(power) };
}

/** The device and the new key of a rotation, or null. */
export function rotationOf(entry) {
  if (entry.kind !== ROTATE) return null;
  const [subject, id, publicKey] = array(entry.body, 3);
  return { subject, id: octets(id, 16), publicKey: octets(publicKey, 32) };
}

export const isOfRole = (entry) => entry.body[0] === ROLE;
export const isGenesis = (entry) => entry.kind === GENESIS;
export const isOfWallet = (entry) => WALLET_KINDS.includes(entry.kind);

/** Who holds which role and what needs how many: the constitution at one moment. Immutable but by `follow`. */
export class Constitution {
  static async found(data) {
    const entry = await parseEntry(data);
    require(entry.kind === GENESIS, "constitution-wrong");
    const [, trial, , origin, , roles, quorums] = rows(entry.body);
    const made = new Constitution();
    made.genesis = await sha256(data);
    made.origin = origin;
    made.trial = trial;
    made.quorums = new Map(rows(quorums).map((row) => [row[0], { roles: [...rows(row[1])], k: uint(row[2]) }]));
    made.keys = new Map();
    made.ids = new Map();
    for (const [role, keys] of rows(roles)) {
      for (const publicKey of rows(keys)) {
        const held = { role, publicKey: octets(publicKey, 32) };
        made.keys.set(await hint(publicKey), held);
        made.ids.set(hex((await sha256(publicKey)).subarray(0, 16)), held);
      }
    }
    const steward = made.keys.get(entry.message.kid);
    const isGood = steward?.role === "steward" && await isBy(entry.message, steward.publicKey, "genesis");
    require(isGood, "constitution-wrong");
    return made;
  }

  copy() {
    const made = Object.assign(new Constitution(), this);
    made.keys = new Map(this.keys);
    made.ids = new Map(this.ids);
    return made;
  }

  /** Whether enough roles signed; every signature there must be good. */
  async hasQuorum(entry) {
    if (await this.#isRemark(entry)) return true;
    const kind = this.#quorumKind(entry);
    const signer = this.#holder(entry.message.kid, kind);
    if (!signer || !await isBy(entry.message, signer.publicKey, LABELS[entry.kind], this.genesis)) return false;
    return this.#isApproved(entry, entry.approvals, kind, new Set([signer.role]));
  }

  /** Whether the aggregator alone says something by an entry that leaves the association active. */
  async #isRemark(entry) {
    if (entry.kind !== STATUS || entry.approvals.length > 0) return false;
    const [subject, , status] = rows(entry.body);
    const holder = this.keys.get(entry.message.kid);
    if (subject !== ASSOCIATION || status !== 0 || holder?.role !== "aggregator") return false;
    return isBy(entry.message, holder.publicKey, LABELS[STATUS], this.genesis);
  }

  /** Whether roles gave this new key: their approvals beside the new key's own. */
  async isRecovery(entry, newKey) {
    const signer = this.#holder(entry.message.kid, ROTATE);
    if (!signer || !await isBy(entry.message, signer.publicKey, "rotate", this.genesis)) return false;
    const own = await hint(newKey);
    const others = entry.approvals.filter((approval) => approval.kid !== own);
    return this.#isApproved(entry, others, ROTATE, new Set([signer.role]));
  }

  /** Whether the new key agreed to be taken. */
  async hasAgreed(entry, newKey) {
    const own = await hint(newKey);
    for (const approval of entry.approvals) {
      if (approval.kid === own && await this.#approves(approval, newKey, entry)) return true;
    }
    return false;
  }

  /** Of entries that roles sign, whether they did; of a redemption the approvals are looked at. */
  async allows(entry) {
    if (entry.kind === REDEEM) return this.#isApproved(entry, entry.approvals, REDEEM, new Set());
    if (entry.kind === ROTATE) return this.#allowsRotation(entry);
    const isGone = entry.kind === STATUS && entry.body[0] === ROLE && !this.ids.has(hex(octets(entry.body[1], 16)));
    return !isGone && this.hasQuorum(entry);
  }

  /** Of a role's key: by that key or the quorum; of anybody else's: by the quorum, if a role signed at all. */
  async #allowsRotation(entry) {
    const { subject, id, publicKey } = rotationOf(entry);
    const held = subject === ROLE ? this.ids.get(hex(id)) : undefined;
    if (subject === ROLE && !held) return false;
    if (held && entry.message.kid === await hint(held.publicKey)) {
      return isBy(entry.message, held.publicKey, "rotate", this.genesis);
    }
    return this.isRecovery(entry, publicKey);
  }

  /** The constitution after a change of a role's key; Broken if the change is not signed as it must be. */
  async after(data) {
    const entry = await parseEntry(data);
    const isAboutRole = [ADMIT, STATUS, ROTATE].includes(entry.kind) && entry.body[0] === ROLE;
    require(isAboutRole, "constitution-wrong");
    const id = hex(octets(entry.body[1], 16));
    const held = this.ids.get(id);
    require(await this.allows(entry), "constitution-wrong");
    const next = this.copy();
    await next.#follow(entry, id, held);
    return next;
  }

  async #follow(entry, id, held) {
    const old = held && await hint(held.publicKey);
    if (entry.kind === STATUS) {
      if (entry.body[2] === ACTIVE) this.keys.set(old, held);
      else this.keys.delete(old);
      if (entry.body[2] === REVOKED) this.ids.delete(id);
      return;
    }
    const [, , given, last] = entry.body;
    const next = entry.kind === ADMIT ? { role: given, publicKey: octets(last, 32) } : { role: held.role, publicKey: octets(given, 32) };
    const isActive = entry.kind === ADMIT || this.keys.delete(old);
    this.ids.set(id, next);
    if (isActive) this.keys.set(await hint(next.publicKey), next);
  }

  #quorumKind(entry) {
    const isAboutKeys = [ADMIT, STATUS, ROTATE].includes(entry.kind) && [WITNESS, ROLE].includes(entry.body[0]);
    return isAboutKeys ? ROTATE : entry.kind;
  }

  #holder(kid, kind) {
    const quorum = this.quorums.get(kind), holder = this.keys.get(kid);
    return quorum && holder && quorum.roles.includes(holder.role) ? holder : null;
  }

  async #approves(approval, publicKey, entry) {
    return equal(approval.payload, entry.statement) && await isBy(approval, publicKey, "approval", this.genesis);
  }

  async #isApproved(entry, approvals, kind, roles) {
    const quorum = this.quorums.get(kind);
    if (!quorum) return false;
    for (const approval of approvals) {
      const approver = this.#holder(approval.kid, kind);
      if (!approver || !await this.#approves(approval, approver.publicKey, entry)) return false;
      roles.add(approver.role);
    }
    return roles.size >= quorum.k;
  }
}

/** What is believed without proof: the log's key, the witnesses, the constitution from each place on. */
export class Trust {
  constructor(log, policy, constitutions) {
    Object.assign(this, { log, policy, constitutions });
  }

  /** The constitutions that were in force before a place, the first one first. */
  until(place) {
    return this.constitutions.filter((row) => row.since < place).map((row) => row.constitution);
  }
}

export { hint, LABELS };
