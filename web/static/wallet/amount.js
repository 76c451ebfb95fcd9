// What people write for an amount, in either language: web/pay/spelling.py, which decides the same.

import { Sorry, filled } from "./ask.js";

const AMOUNT_MC_MAX = 10 ** 12;
const SIZE_MAX = 40;

/** Thousandths of a credit; or why it is none: "not-a-number", "ambiguous", "too-fine", "nothing", "too-much". */
export function readAmount(text) {
  if (text.length > SIZE_MAX) return "not-a-number";
  const written = text.trim();
  const number = written.replace(/(?<=\d)[\s\u00a0\u2009\u202f'’](?=\d{3}(?!\d))/g, "");
  const hasSpaces = number !== written;
  const plain = number.match(/^([0-9]*)(?:[.,]([0-9]+))?$/);
  if (plain && (plain[1] || plain[2])) {
    if (!hasSpaces && /^[1-9][0-9]{0,2}[.,][0-9]{3}$/.test(number)) return "ambiguous";
    return amountOf(plain[1], plain[2] ?? "");
  }
  const grouped = number.match(/^([0-9]{1,3}([.,])[0-9]{3}(?:\2[0-9]{3})*)(?:(?!\2)[.,]([0-9]+))?$/);
  if (!grouped || hasSpaces) return "not-a-number";
  return amountOf(grouped[1].replace(/[.,]/g, ""), grouped[3] ?? "");
}

function amountOf(whole, part) {
  const fine = part.replace(/0+$/, "");
  if (fine.length > 3) return "too-fine";
  const amount = Number(whole || "0") * 1000 + Number(fine.padEnd(3, "0"));
  if (amount === 0) return "nothing";
  return amount > AMOUNT_MC_MAX ? "too-much" : amount;
}

/** The two numbers that an ambiguous text may mean. */
export function meanings(text) {
  const [whole, part] = text.trim().split(/[.,]/);
  return { less: `${whole}.${part}`.replace(/0+$/, "").replace(/\.$/, ""), more: whole + part };
}

/** The amount of a field; Sorry says what is wrong with it. */
export function amountIn(text) {
  const amount = readAmount(text);
  if (typeof amount === "number") return amount;
  throw new Sorry(filled(`amount-${amount}`, amount === "ambiguous" ? meanings(text) : {}));
}

/** An amount as the reader's language writes it: at most three decimals. */
export function written(amountMc) {
  const form = new Intl.NumberFormat(document.documentElement.lang, { minimumFractionDigits: 1, maximumFractionDigits: 3 });
  return form.format(amountMc / 1000);
}
