// On /me: whether this browser is told of things at once (Web Push), and the switch for it.

import { onSubmit, post, says, Sorry } from "./ask.js";

const place = document.getElementById("push");

if (place && "PushManager" in window && "serviceWorker" in navigator) begin();

async function begin() {
  const worker = await navigator.serviceWorker.ready;
  const on = place.querySelector("[data-push=on]"), off = place.querySelector("[data-push=off]");
  const show = async () => {
    const subscribed = await worker.pushManager.getSubscription();
    on.hidden = Boolean(subscribed);
    off.hidden = !subscribed;
    place.hidden = false;
  };
  onSubmit(on, async () => {
    if ((await Notification.requestPermission()) !== "granted") throw new Sorry(says("notices-blocked"));
    const subscribed = await subscribe(worker);
    const { endpoint, keys } = subscribed.toJSON();
    try {
      await post("/me/push", { endpoint, p256dh: keys.p256dh, auth: keys.auth });
    } catch (error) {
      await subscribed.unsubscribe();
      throw error;
    }
    await show();
  });
  onSubmit(off, async () => {
    const subscribed = await worker.pushManager.getSubscription();
    if (subscribed) {
      await post("/me/push/end", { endpoint: subscribed.endpoint });
      await subscribed.unsubscribe();
    }
    await show();
  });
  await show();
}

async function subscribe(worker) {
  try {
    return await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: place.dataset.key });
  } catch (error) {
    console.info("no push:", error.message);
    throw new Sorry(says("notices-unreachable"));
  }
}
