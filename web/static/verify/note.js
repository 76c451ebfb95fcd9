// C2SP signed notes, checkpoints, cosignatures and tlog-policies.

import { Broken, equal, hex, isSignedBy, join, require, sha256, text, unbase64, utf8 } from "./bytes.js";

const ED25519 = 1, COSIGNATURE = 4, KEY_ID_SIZE = 4;
const NAME = /^[^\s+\u0000-\u001f\u007f]+$/u;

/** A key by its spelling `name+id+base64(kind and key)`. */
export async function parseVkey(spelled, kind = ED25519) {
  const [name, keyId, ...key] = spelled.trim().split("+");
  require(key.length > 0 && NAME.test(name));
  const data = unbase64(key.join("+"));
  require(data.length === 33 && data[0] === kind);
  const id = (await sha256(utf8(`${name}\n`), data)).subarray(0, KEY_ID_SIZE);
  require(hex(id) === keyId);
  return { name, id, publicKey: data.subarray(1) };
}

export function parseNote(bytes) {
  const whole = text(bytes);
  const end = whole.lastIndexOf("\n\n");
  require(end > 0 && whole.endsWith("\n"));
  const lines = whole.slice(end + 2, -1).split("\n").map((line) => {
    const found = /^— ([^\s+]+) (\S+)$/u.exec(line);
    require(found !== null);
    const data = unbase64(found[2]);
    require(data.length > KEY_ID_SIZE);
    return { name: found[1], id: data.subarray(0, KEY_ID_SIZE), signature: data.subarray(KEY_ID_SIZE) };
  });
  return { text: whole.slice(0, end + 1), lines };
}

const linesOf = (note, key) => note.lines.filter((line) => line.name === key.name && equal(line.id, key.id));

/** The head that the log signed: origin, size, root. */
export async function openCheckpoint(note, log) {
  const lines = linesOf(note, log);
  require(lines.length > 0, "log-unsigned");
  for (const line of lines) {
    require(await isSignedBy(log.publicKey, line.signature, utf8(note.text)), "log-unsigned");
  }
  const found = /^([^\n]+)\n(0|[1-9][0-9]{0,15})\n([^\n]+)\n$/.exec(note.text);
  require(found !== null && found[1] === log.name, "log-unsigned");
  const root = unbase64(found[3]);
  require(root.length === 32);
  return { origin: found[1], size: Number(found[2]), root };
}

/** A tlog-policy: witnesses with their keys, groups, the quorum. An empty text asks for nobody. */
export async function parsePolicy(policy) {
  const parsed = { witnesses: [], groups: [], quorum: "none" };
  for (const line of policy.split("\n")) {
    const words = line.split(/[ \t]+/).filter((word) => word);
    if (words.length === 0 || words[0].startsWith("#")) continue;
    switch (words[0]) {
      case "log": break;
      case "witness":
        parsed.witnesses.push({ name: words[1], key: await parseVkey(words[2], COSIGNATURE) });
        break;
      case "group": {
        const members = words.slice(3);
        const k = { any: 1, all: members.length }[words[2]] ?? Number(words[2]);
        require(Number.isInteger(k) && k >= 1 && k <= members.length);
        parsed.groups.push({ name: words[1], k, members });
        break;
      }
      case "quorum": parsed.quorum = words[1]; break;
      default: throw new Broken("malformed");
    }
  }
  return parsed;
}

/** Which witnesses cosigned, and when; Broken if a known one's line fails or they are not enough. */
export async function witnessed(note, policy) {
  const seen = [];
  for (const witness of policy.witnesses) {
    for (const line of linesOf(note, witness.key)) {
      require(line.signature.length === 72, "witness-wrong", { name: witness.name });
      const view = new DataView(line.signature.buffer, line.signature.byteOffset, 8);
      const time = view.getBigUint64(0);
      const message = utf8(`cosignature/v1\ntime ${time}\n${note.text}`);
      const isGood = time > 0n && await isSignedBy(witness.key.publicKey, line.signature.subarray(8), message);
      require(isGood, "witness-wrong", { name: witness.name });
      seen.push({ name: witness.name, time: Number(time) });
    }
  }
  const met = new Set(seen.map((row) => row.name));
  for (const group of policy.groups) {
    if (group.members.filter((member) => met.has(member)).length >= group.k) met.add(group.name);
  }
  const isMet = policy.quorum === "none" || met.has(policy.quorum);
  require(isMet, "too-few-witnesses", { count: seen.length, all: policy.witnesses.length });
  return seen;
}
