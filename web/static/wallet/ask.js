// How modules of these pages talk to the server: forms out, JSON back, and a sentence when something is wrong.

/** What went wrong, in words for the reader. */
export class Sorry extends Error {
  constructor(says, toDo = "") {
    super([says, toDo].filter(Boolean).join(" "));
  }
}

const phrases = () => JSON.parse(document.getElementById("phrases")?.textContent || "{}");

/** A sentence of the page by its name. */
export const says = (name) => phrases()[name] ?? name;

/** What one form may bring, files included (web/door.py). */
const BYTES_MAX = 6 * 1024 * 1024;

/** The same with the names in braces filled in. */
export const filled = (name, values) => says(name).replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

/** Post fields to an address of ours; the JSON that comes back. Sorry if it is refused or nobody answers. */
export async function post(address, fields) {
  const files = [...(fields instanceof FormData ? fields.values() : [])].filter((value) => value instanceof File);
  if (files.reduce((sum, file) => sum + file.size, 0) > BYTES_MAX) throw new Sorry(says("too-large"));
  const body = files.length ? fields : new URLSearchParams(fields);
  if (document.body.dataset.csrf) body.set("csrf", document.body.dataset.csrf);
  let answer;
  try {
    answer = await fetch(address, { method: "POST", body, headers: { accept: "application/json" } });
  } catch {
    throw new Sorry(says("offline"));
  }
  const told = await answer.json().catch(() => ({ error: says("broken") }));
  if (!answer.ok) throw Object.assign(new Sorry(told.error ?? says("broken"), told.to_do), { told });
  return told;
}

/** Run what a form does once at a time: a double tap does it once. Errors are shown in the form's alert. */
export function onSubmit(form, act) {
  const alert = form.querySelector("[role=alert]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.busy) return;
    form.dataset.busy = "yes";
    alert.hidden = true;
    const button = event.submitter ?? form.querySelector("button");
    const label = button?.textContent;
    if (button) button.disabled = true;
    try {
      await act(new FormData(form, event.submitter), form);
    } catch (error) {
      if (!(error instanceof Sorry)) console.error(error);
      alert.textContent = error instanceof Sorry ? error.message : says("broken");
      alert.hidden = false;
    } finally {
      delete form.dataset.busy;
      if (button) {
        button.disabled = false;
        button.textContent = label;
      }
    }
  });
}
