// Checks a proof step by step. The first step that fails is the last: what would follow rests on it.
//
// The same steps as `commonwatt verify`, in the reader's own browser: nothing here asks the server anything.

import { Broken, equal, hex, require, sha256, text, unbase64, unhex } from "./bytes.js";
import { array, decode, octets, Row, rows, Tagged, uint } from "./cbor.js";
import { Constitution, deviceOf, hint, isBy, isGenesis, isOfRole, isOfWallet, parseEntry, parseSigned, rotationOf, Trust } from "./entry.js";
import { hashes, isIncluded, leafHash, rootOf } from "./merkle.js";
import { openCheckpoint, parseNote, parsePolicy, parseVkey, witnessed } from "./note.js";

const MINT = 5, SHORT = 1, LONG = 2;
const TEXT_HEAD = "c2sp.org/tlog-proof@v1\n";

/** What the commune tells beforehand: {log_vkey, genesis, witnesses, changes: [{place, entry}]}. */
export async function trustIn(told) {
  const log = await parseVkey(told.log_vkey);
  const founded = await Constitution.found(unhex(told.genesis));
  require(founded.origin === log.name, "constitution-wrong");
  const constitutions = [{ since: -1, constitution: founded }];
  for (const change of told.changes) {
    const { since, constitution } = constitutions.at(-1);
    require(change.place > Math.max(since, 0), "constitution-wrong");
    constitutions.push({ since: change.place, constitution: await constitution.after(unhex(change.entry)) });
  }
  return new Trust(log, await parsePolicy(told.witnesses), constitutions);
}

/** The proof in a file's bytes, CBOR or C2SP's text form. */
export function parseProof(bytes) {
  if (bytes.length >= TEXT_HEAD.length && equal(bytes.subarray(0, TEXT_HEAD.length), new TextEncoder().encode(TEXT_HEAD))) {
    return parseText(text(bytes));
  }
  const [version, entry, index, path, checkpoint, opening] = array(decode(bytes), 6);
  require(version === 1);
  const way = hashes(octets(path));
  require(way !== null);
  return { entry: octets(entry), index: uint(index), path: way, checkpoint: octets(checkpoint), opening };
}

function parseText(whole) {
  const end = whole.indexOf("\n\n");
  require(end > 0);
  const [, extra, index, ...way] = whole.slice(0, end).split("\n");
  require(extra?.startsWith("extra ") && /^index (0|[1-9][0-9]{0,15})$/.test(index));
  return {
    entry: unbase64(extra.slice(6)), index: Number(index.slice(6)), path: way.map(unbase64),
    checkpoint: new TextEncoder().encode(whole.slice(end + 2)), opening: null,
  };
}

/** Yields {isGood, reason, values} until the end or the first that fails. */
export async function* explain(proof, trust) {
  try {
    for await (const [reason, values] of steps(proof, trust)) yield { isGood: true, reason, values };
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    yield { isGood: false, reason: error.reason, values: error.values };
  }
}

async function* steps(proof, trust) {
  const note = parseNote(proof.checkpoint);
  const head = await openCheckpoint(note, trust.log);
  yield ["log", { origin: head.origin, size: head.size }];
  const seen = await witnessed(note, trust.policy);
  yield trust.policy.witnesses.length ? ["witnessed", { seen }] : ["no-witnesses", {}];
  const leaf = await leafHash(proof.entry);
  require(await isIncluded(leaf, proof.index, head.size, proof.path, head.root), "not-included", { index: proof.index });
  yield ["included", { index: proof.index, count: proof.path.length }];
  const entry = await parseEntry(proof.entry);
  if (entry.kind !== MINT) {
    yield ["entry", { kind: entry.kind, time: entry.time }];
    require(proof.opening === null, "no-mint");
    yield [await signers(entry, proof.index, trust), {}];
    return;
  }
  yield ["mint", entry];
  if (proof.opening === null) yield ["closed", {}];
  else if (proof.opening[0] === SHORT) yield* shortSteps(entry, array(proof.opening, 6), proof.index, trust);
  else yield* longSteps(entry, array(proof.opening, 4), proof.index, trust);
}

async function signers(entry, index, trust) {
  if (isGenesis(entry)) return "genesis";
  if (isOfWallet(entry)) return "wallet";
  const founded = trust.until(index).at(-1);
  if (rotationOf(entry) && !isOfRole(entry) && !founded.keys.has(entry.message.kid)) return "holder";
  require(await founded.allows(entry), "quorum");
  return "roles";
}

function lineOf(value) {
  const [salt, device, start, end, revision, energy, amount, sha] = array(value, 8);
  octets(salt, 16);
  uint(revision);
  require(Number.isSafeInteger(energy) && Number.isSafeInteger(amount));
  return { device: octets(device, 16), start: uint(start), end: uint(end), energy, amount, sha: octets(sha, 32), spelled: value.spelled };
}

async function* shortSteps(mint, [, position, path, value, block, admission], index, trust) {
  const line = lineOf(value), way = hashes(octets(path));
  require(way !== null);
  const leaf = await leafHash(line.spelled);
  require(await isIncluded(leaf, uint(position), mint.lines, way, mint.linesRoot), "line-foreign");
  yield ["line", { ...line, count: mint.lines, number: position + 1 }];
  yield* blockSteps(line, octets(block), chainOf(admission), index, trust);
}

async function* longSteps(mint, [kind, values, blocks, admissions], index, trust) {
  require(kind === LONG);
  const lines = rows(values).map(lineOf);
  const leaves = [];
  for (const line of lines) leaves.push(await leafHash(line.spelled));
  require(lines.length === mint.lines && equal(await rootOf(leaves), mint.linesRoot), "line-foreign");
  const sum = (name) => lines.reduce((total, line) => total + line[name], 0);
  require(sum("amount") === mint.amount + mint.association && sum("energy") === mint.energy, "sum-wrong");
  yield ["lines", { count: lines.length, energy: mint.energy, amount: sum("amount") }];
  const byHash = new Map(), byDevice = new Map();
  for (const block of rows(blocks)) byHash.set(hex(await sha256(octets(block))), block);
  for (const value of rows(admissions)) {
    const chain = chainOf(value), device = deviceOf(await parseEntry(chain[0]));
    if (device) byDevice.set(hex(device.id), chain);
  }
  for (const line of lines) {
    const block = byHash.get(hex(line.sha)), chain = byDevice.get(hex(line.device));
    require(block && chain, "part-missing");
    yield ["one-line", line];
    yield* blockSteps(line, block, chain, index, trust);
  }
}

const chainOf = (value) => (value instanceof Row ? value.map((row) => octets(row)) : [octets(value)]);

async function* blockSteps(line, data, chain, index, trust) {
  require(equal(await sha256(data), line.sha), "block-foreign");
  const message = parseSigned(data);
  const device = await meterOf(chain, message.kid, line, index, trust);
  yield ["meter", { device: hex(device.id), power: device.power }];
  require(await isBy(message, device.publicKey, "block"), "block-unsigned");
  yield ["block", { ...blockOf(message.payload), device: hex(device.id) }];
}

/** The meter of a line, with the key that should have signed; each entry is checked as of its time. */
async function meterOf(chain, kid, line, index, trust) {
  const admission = await parseEntry(chain[0]);
  const device = deviceOf(admission);
  require(device && equal(device.id, line.device), "meter-foreign");
  require(await some(trust.until(index), (founded) => founded.hasQuorum(admission)), "meter-unsigned");
  for (const data of chain.slice(1)) {
    if (await hint(device.publicKey) === kid) break; // the block is older than the next key
    device.publicKey = await nextKey(await parseEntry(data), device, index, trust);
  }
  return device;
}

async function nextKey(entry, device, index, trust) {
  const rotation = rotationOf(entry);
  require(rotation && equal(rotation.id, device.id), "meter-foreign");
  const until = trust.until(index), founded = until[0];
  const isByOldKey = await isBy(entry.message, device.publicKey, "rotate", founded.genesis);
  const isGiven = isByOldKey || await some(until, (then) => then.isRecovery(entry, rotation.publicKey));
  require(isGiven && await founded.hasAgreed(entry, rotation.publicKey), "meter-unsigned");
  return rotation.publicKey;
}

async function some(items, holds) {
  for (const item of items) if (await holds(item)) return true;
  return false;
}

/** When a block was measured and what each register grew by, in Wh. */
function blockOf(payload) {
  const [version, seq, , start, step, , channels] = array(decode(payload), 7);
  require(version === 1);
  const grown = rows(channels).map(([quantity, , increments]) => ({ quantity, energy: sumOf(increments) }));
  const count = rows(channels)[0] ? lengthOf(channels[0][2]) : 0;
  return { seq: uint(seq), start: uint(start), end: uint(start) + uint(step) * count, grown };
}

const WIDTHS = { 64: 1, 69: 2, 70: 4 };

function lengthOf(increments) {
  require(increments instanceof Tagged && increments.tag in WIDTHS);
  return octets(increments.value).length / WIDTHS[increments.tag];
}

function sumOf(increments) {
  const width = WIDTHS[increments.tag], count = lengthOf(increments), { value } = increments;
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const read = { 1: (at) => view.getUint8(at), 2: (at) => view.getUint16(at, true), 4: (at) => view.getUint32(at, true) }[width];
  let sum = 0;
  for (let item = 0; item < count; item++) sum += read(item * width);
  return sum;
}
