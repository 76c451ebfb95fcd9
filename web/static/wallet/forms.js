// Every form with data-sign: what it asks for is drafted by the server and signed here. data-confirm asks again first.

import { onSubmit } from "./ask.js";
import { signAt } from "./sign.js";

/** What looks at a decoded draft before it is signed, by the address that drafts it; it may throw. */
export const checks = new Map();

for (const form of document.querySelectorAll("form[data-sign]")) {
  onSubmit(form, async (fields) => {
    if (form.dataset.confirm && !(await confirmed(form.dataset.confirm))) return;
    const answer = await signAt(form.action, fields, (entry) => checks.get(form.getAttribute("action"))?.(entry, fields));
    location.assign(form.dataset.next || answer.next || location.href);
  });
}

/** Whether the reader says yes, in a dialog of the page (#confirm) with the question in it. */
export async function confirmed(question) {
  const dialog = document.getElementById("confirm");
  dialog.querySelector("p").textContent = question;
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "yes";
}
