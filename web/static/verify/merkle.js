// RFC 6962 trees: leaves, nodes, inclusion (RFC 9162 §2.1.3.2).

import { equal, sha256 } from "./bytes.js";

const HASH_SIZE = 32;
const LEAF = Uint8Array.of(0), NODE = Uint8Array.of(1);

export const leafHash = (data) => sha256(LEAF, data);
const nodeHash = (left, right) => sha256(NODE, left, right);

/** Hashes that stand one behind the other; null if they end inside one. */
export function hashes(bytes) {
  if (bytes.length % HASH_SIZE) return null;
  return Array.from({ length: bytes.length / HASH_SIZE }, (_, at) => bytes.subarray(at * HASH_SIZE, (at + 1) * HASH_SIZE));
}

export async function isIncluded(leaf, index, size, proof, root) {
  if (index < 0 || index >= size) return false;
  let node = BigInt(index), last = BigInt(size) - 1n, result = leaf;
  for (const sibling of proof) {
    if (last === 0n) return false;
    if (node & 1n || node === last) {
      result = await nodeHash(sibling, result);
      while (node && !(node & 1n)) [node, last] = [node >> 1n, last >> 1n];
    } else {
      result = await nodeHash(result, sibling);
    }
    [node, last] = [node >> 1n, last >> 1n];
  }
  return last === 0n && equal(result, root);
}

/** The root over leaf hashes. */
export async function rootOf(leaves) {
  if (leaves.length === 0) return sha256();
  let level = leaves;
  while (level.length > 1) {
    const above = [];
    for (let at = 0; at + 1 < level.length; at += 2) above.push(await nodeHash(level[at], level[at + 1]));
    if (level.length % 2) above.push(level.at(-1));
    level = above;
  }
  return level[0];
}
