// /me/guard: signs who may help. Shows the number of a second device, which its owner compares.

import { unhex } from "../verify/bytes.js";
import { numberOf } from "./code.js";
import "./forms.js";
import "./presence.js";

for (const place of document.querySelectorAll("[data-number]")) {
  place.textContent = await numberOf(unhex(place.dataset.number));
}
const isKept = await navigator.storage?.persisted?.();
if (isKept === false) document.querySelector("[data-not-kept]").hidden = false;
