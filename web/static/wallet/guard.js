// /me/guard: signs who may help. Shows the number of a second device, which its owner compares.

import { unhex } from "../verify/bytes.js";
import { says, Sorry } from "./ask.js";
import { numberOf } from "./code.js";
import { base64url } from "./cose.js";
import { checks } from "./forms.js";
import "./presence.js";

for (const place of document.querySelectorAll("[data-number]")) {
  place.textContent = await numberOf(unhex(place.dataset.number));
}
const isKept = await navigator.storage?.persisted?.();
if (isKept === false) document.querySelector("[data-not-kept]").hidden = false;

/** The server may draft what the page says and nothing else: two of the keys shown here, with the one whose number was
 * compared and without the one that goes. */
checks.set("/me/guard", (entry, fields) => {
  const [, k, keys] = entry[4], named = Array.from(keys, (key) => base64url(key));
  const { code } = document.querySelector("[data-code]").dataset;
  const shown = [...document.querySelectorAll("[name=drop]")].map((field) => field.value);
  const device = fields.get("device"), dropped = fields.get("drop");
  const wanted = new Set([code, device, ...shown].filter((key) => key && key !== dropped));
  const isIt = named.length === wanted.size && named.every((key) => wanted.has(key)) && k === (wanted.size ? 2 : 0);
  if (!isIt) throw new Sorry(says("broken"));
});
