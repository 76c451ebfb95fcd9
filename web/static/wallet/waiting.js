// Shows the payments of this browser that are not over: what waits, what was refused, what was not sent in time.

import { filled, onSubmit, says, Sorry } from "./ask.js";
import { written } from "./amount.js";
import { cancel, forget, rowsOf, standing } from "./outbox.js";

const room = document.getElementById("outbox");

async function show() {
  const rows = (await rowsOf(document.body.dataset.subject)).filter((row) => row.state !== "placed");
  room.replaceChildren(element("h2", says("outbox")), ...rows.map(shown));
  room.hidden = rows.length === 0;
}

function shown(row) {
  const form = element("form"), alert = element("p");
  const amount = `${written(row.amount)} ${row.unit}`;
  form.append(element("p", filled("prepared", { amount, name: row.payee })), element("p", standing(row)));
  alert.setAttribute("role", "alert");
  alert.className = "alert";
  alert.hidden = true;
  form.append(alert);
  const isOver = row.state !== "waiting";
  if (isOver || !row.isSent) {
    const button = element("button", says(isOver ? "understood" : "cancel-payment"));
    button.className = "plain";
    form.append(button);
  }
  onSubmit(form, async () => {
    if (isOver) await forget(row.id);
    else if (!(await cancel(row.id))) throw new Sorry(says("may-be-sent"));
    await show();
  });
  return form;
}

function element(name, text = "") {
  return Object.assign(document.createElement(name), { textContent: text });
}

addEventListener("outbox", show);
addEventListener("pageshow", show);
