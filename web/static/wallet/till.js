// The till: an amount, a code on the screen, "paid" with a sound, the next customer. One page, so that the sound may be
// made (a browser wants a touch before) and the screen stays on.

import { filled, onSubmit, post, says } from "./ask.js";
import { amountIn, written } from "./amount.js";

const EVERY_MS = 1000;
const QUIET = "commonwatt-till-quiet";
const NOTES_HZ = [784, 1175], NOTE_S = 0.16;

const form = document.getElementById("till"), pad = document.getElementById("pad");
const shown = document.getElementById("shown"), done = document.getElementById("done");
const sound = document.getElementById("sound"), loud = sound.querySelector("input");
const amount = form.elements.amount;
let open = null, audio = null, lock = null;

const part = (room, name) => room.querySelector(`[data-part=${name}]`);

pad.hidden = false;
amount.inputMode = "none"; // the pad is the keyboard; one of metal still works
pad.addEventListener("click", (event) => {
  const { key } = event.target.closest("button")?.dataset ?? {};
  if (key === "back") amount.value = amount.value.slice(0, -1);
  else if (key && amount.value.length < amount.maxLength) amount.value += key;
});

sound.hidden = false;
loud.checked = localStorage.getItem(QUIET) !== "yes";
loud.addEventListener("change", () => localStorage.setItem(QUIET, loud.checked ? "no" : "yes"));

onSubmit(form, async (fields) => {
  const amountMc = amountIn(fields.get("amount"));
  audio ??= new AudioContext();
  audio.resume().catch(() => {});
  const unit = form.elements.unit?.selectedOptions[0].textContent ?? says("credits");
  const made = await post("/ask", fields);
  open = { code: made.code, amount: `${written(amountMc)} ${unit}` };
  part(shown, "amount").textContent = open.amount;
  part(shown, "qr").innerHTML = made.qr; // drawn by our server: modules of a picture, nothing else
  part(shown, "code").textContent = made.shown;
  part(shown, "state").textContent = says("till-waiting");
  turn(shown);
  await keepAwake();
  setTimeout(() => look(made.code), EVERY_MS);
});

/** Which of the three is on the screen. */
function turn(room) {
  for (const each of [form, shown, done]) each.hidden = each !== room;
  document.body.classList.toggle("is-paid", room === done);
}

async function look(code) {
  if (open?.code !== code) return;
  const answer = await fetch(`/p/${code}/state`).catch(() => null);
  const told = answer?.ok ? await answer.json() : null;
  if (open?.code !== code) return;
  if (told?.standing === "paid") return paid(told);
  part(shown, "state").textContent = stateOf(told);
  if (!told || told.standing === "open") setTimeout(() => look(code), EVERY_MS);
}

function stateOf(told) {
  if (!told) return says("till-offline");
  if (told.standing !== "open") return says("till-over");
  if (told.short) return says("till-short");
  return says(told.shown ? "till-opened" : "till-waiting");
}

function paid(told) {
  part(done, "amount").textContent = open.amount;
  part(done, "payer").textContent = filled("till-paid", { name: told.payer });
  document.getElementById("slip").href = `/till/slip/${told.payment}`;
  open = null;
  turn(done);
  document.getElementById("next").focus();
  if (loud.checked) ring();
}

document.getElementById("next").addEventListener("click", () => {
  form.reset();
  turn(form);
  amount.focus();
});

document.getElementById("cancel").addEventListener("click", async () => {
  const { code } = open ?? {};
  open = null;
  turn(form);
  if (code) await post(`/ask/${code}/end`, {}).catch(() => {}); // it ends by itself within the hour
});

/** Two notes, upwards. */
function ring() {
  NOTES_HZ.forEach((hz, at) => {
    const tone = audio.createOscillator(), level = audio.createGain(), start = audio.currentTime + at * NOTE_S;
    tone.frequency.value = hz;
    level.gain.setValueAtTime(0.25, start);
    level.gain.exponentialRampToValueAtTime(0.001, start + NOTE_S * 1.5);
    tone.connect(level).connect(audio.destination);
    tone.start(start);
    tone.stop(start + NOTE_S * 1.5);
  });
  document.body.dataset.rang = "yes";
}

/** The screen stays on while the till is shown; not every browser can. */
async function keepAwake() {
  lock = !lock || lock.released ? await navigator.wakeLock?.request("screen").catch(() => null) : lock;
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && lock) keepAwake();
});
