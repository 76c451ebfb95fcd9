// On every page of who is signed in: the service worker, what waits to be sent, and a word when there is no connection.

import { filled, says } from "./ask.js";
import { remember } from "./clock.js";
import { rowsOf } from "./outbox.js";

const { delivery } = self.commonwatt;
const { subject, csrf } = document.body.dataset;
const line = document.getElementById("connection");

async function tell() {
  const count = (await rowsOf(subject)).filter((row) => row.state === "waiting").length;
  const texts = [navigator.onLine ? "" : says("no-connection"), count ? filled("waiting-count", { count }) : ""];
  line.querySelector("span").textContent = texts.filter(Boolean).join(" ");
  line.querySelector("a").hidden = count === 0;
  line.hidden = texts.every((text) => !text);
}

/** Send what waits; pages that show it look again, and the page of a payment goes on to what came of it. */
async function flush() {
  const sent = await delivery.deliverAll({ subject, csrf });
  await tell();
  if (sent.length) heard();
}

async function heard() {
  dispatchEvent(new Event("outbox"));
  await tell();
}

if (subject) {
  navigator.serviceWorker?.register("/sw.js").catch((error) => console.info("no service worker:", error.message));
  navigator.serviceWorker?.addEventListener("message", ({ data }) => data === "outbox" && heard());
  addEventListener("online", flush);
  addEventListener("offline", tell);
  addEventListener("outbox-kept", tell);
  flush();
  remember();
}
