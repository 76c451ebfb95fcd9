// Deterministic CBOR (RFC 8949 §4.2.1), read strictly: every value has one spelling, and no other is taken.

import { Broken, require, text } from "./bytes.js";

const DEPTH_MAX = 16;
const FALSE = 20, TRUE = 21, NULL = 22;

/** An array with the bytes that spell it, as they are hashed. */
export class Row extends Array {
  spelled = new Uint8Array();
}

/** A tagged value, as increments of registers are. */
export class Tagged {
  constructor(tag, value) {
    this.tag = tag;
    this.value = value;
  }
}

/** The one value in `bytes`: integers (above 2^53 as BigInt), Uint8Array, string, boolean, null, Row, Tagged. */
export function decode(bytes) {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  require(reader.at === bytes.length);
  return value;
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  value(depth) {
    require(depth < DEPTH_MAX && this.at < this.bytes.length);
    const start = this.at;
    const first = this.bytes[this.at++];
    const major = first >> 5, short = first & 31;
    if (major === 7) return this.#simple(short);
    const number = this.#number(short);
    switch (major) {
      case 0: return number;
      case 1: return typeof number === "bigint" ? -1n - number : -1 - number;
      case 2: return this.#take(number);
      case 3: return text(this.#take(number));
      case 4: {
        require(number <= this.bytes.length);
        const row = new Row();
        for (let item = 0; item < number; item++) row.push(this.value(depth + 1));
        row.spelled = this.bytes.subarray(start, this.at);
        return row;
      }
      case 6: return new Tagged(number, this.value(depth + 1));
      default: throw new Broken("malformed"); // maps: nothing that is proven has one
    }
  }

  #simple(short) {
    switch (short) {
      case FALSE: return false;
      case TRUE: return true;
      case NULL: return null;
      default: throw new Broken("malformed");
    }
  }

  /** The number behind the first byte, in its shortest form. */
  #number(short) {
    if (short < 24) return short;
    const size = { 24: 1, 25: 2, 26: 4, 27: 8 }[short];
    require(size !== undefined && this.at + size <= this.bytes.length);
    const number = { 1: () => this.view.getUint8(this.at), 2: () => this.view.getUint16(this.at),
      4: () => this.view.getUint32(this.at), 8: () => this.view.getBigUint64(this.at) }[size]();
    this.at += size;
    require(number >= { 1: 24, 2: 2 ** 8, 4: 2 ** 16, 8: 2 ** 32 }[size]);
    return typeof number === "bigint" && number <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(number) : number;
  }

  #take(size) {
    require(typeof size === "number" && this.at + size <= this.bytes.length);
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }
}

export function array(value, count) {
  require(value instanceof Row && value.length === count);
  return value;
}

export function rows(value) {
  require(value instanceof Row);
  return value;
}

/** An unsigned integer; beyond 2^53 nothing here is counted. */
export function uint(value) {
  require(Number.isSafeInteger(value) && value >= 0);
  return value;
}

export function octets(value, size) {
  require(value instanceof Uint8Array && (size === undefined || value.length === size));
  return value;
}
