// The page: takes a file, says each step in the reader's language. Texts come with the page.

import { canVerify } from "./bytes.js";
import { explain, parseProof, trustIn } from "./steps.js";

const SIZE_MAX = 16_000_000;
const words = JSON.parse(document.getElementById("words").textContent);
const told = document.getElementById("constitution").textContent;
const list = document.getElementById("steps"), verdict = document.getElementById("verdict");
const choice = document.getElementById("proof"), button = document.getElementById("check");
const language = document.documentElement.lang, timeZone = document.body.dataset.zone; // the commune's, as on all its pages

const number = new Intl.NumberFormat(language, { maximumFractionDigits: 3 });
const moment = new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "short", timeZone });
const show = {
  size: (value) => number.format(value), count: (value) => number.format(value),
  index: (value) => number.format(value), number: (value) => number.format(value), all: (value) => number.format(value),
  seq: (value) => number.format(value), power: (value) => number.format(value),
  energy: (value) => `${number.format(value / 1000)} kWh`, amount: (value) => number.format(value / 1000),
  kind: (value) => words.kinds[value] ?? value, time: (value) => moment.format(value * 1000),
  start: (value) => moment.format(value * 1000), end: (value) => moment.format(value * 1000),
  seen: (value) => value.map((row) => `${row.name} (${moment.format(row.time * 1000)})`).join(", "),
  grown: (value) => value.map((row) => `${words.quantities[row.quantity] ?? row.quantity} +${show.energy(row.energy)}`).join(", "),
  source: (value) => words.sources[value] ?? value,
};

function sentence(reason, values) {
  const template = words.steps[reason] ?? words.steps.malformed;
  return template.replace(/\{(\w+)\}/g, (_, name) => (show[name] ?? String)(values[name]));
}

const OF_LINES = ["one-line", "meter", "block"];
let folded = null;

/** One more step. Those of each of many lines are folded away, but the one that fails. */
function say(isGood, text, reason = "") {
  const item = document.createElement("li");
  item.className = isGood ? "good" : "bad";
  item.textContent = text;
  if (reason === "one-line") folded ??= fold();
  (isGood && folded && OF_LINES.includes(reason) ? folded : list).append(item);
}

function fold() {
  const item = document.createElement("li"), details = document.createElement("details");
  const summary = document.createElement("summary"), inner = document.createElement("ol");
  item.className = "good";
  summary.textContent = words.lines;
  inner.className = "steps";
  details.append(summary, inner);
  item.append(details);
  list.append(item);
  return inner;
}

function conclude(isGood, text) {
  verdict.className = isGood ? "good" : "bad";
  verdict.textContent = text;
}

async function check(bytes) {
  list.replaceChildren();
  folded = null;
  conclude(true, "");
  verdict.className = "";
  try {
    const trust = await trustIn(JSON.parse(told));
    const proof = parseProof(bytes);
    let isGood = false;
    for await (const step of explain(proof, trust)) {
      say(step.isGood, sentence(step.reason, step.values), step.reason);
      ({ isGood } = step);
    }
    conclude(isGood, isGood ? words.proven : words.failed);
  } catch (error) {
    say(false, sentence(error.reason ?? "malformed", error.values ?? {}));
    conclude(false, words.failed);
  }
}

choice?.addEventListener("change", async () => {
  const [file] = choice.files;
  if (!file) return;
  if (file.size > SIZE_MAX) {
    list.replaceChildren();
    conclude(false, words.large);
    return;
  }
  await check(new Uint8Array(await file.arrayBuffer()));
});

button?.addEventListener("click", async () => {
  button.disabled = true;
  try {
    const answer = await fetch(button.dataset.proof);
    if (!answer.ok) throw new Error(answer.statusText);
    await check(new Uint8Array(await answer.arrayBuffer()));
  } catch {
    list.replaceChildren();
    conclude(false, words.unread);
  } finally {
    button.disabled = false;
  }
});

if (await canVerify()) (choice ?? button).disabled = false;
else conclude(false, words.old);
