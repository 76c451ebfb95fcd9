// In the service worker: shows what the server has to tell, and leads to it when it is touched.

addEventListener("push", (event) => {
  let told;
  try {
    told = event.data.json();
  } catch {
    return; // nothing of ours
  }
  const { title, body, path, tag, lang } = told;
  const options = { body, tag, lang, data: { path }, icon: "/static/icon.svg", badge: "/static/icon.svg" };
  event.waitUntil(self.registration.showNotification(title, options));
});

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(lead(event.notification.data?.path ?? "/"));
});

/** To an open window of ours if there is one, else to a new one. */
async function lead(path) {
  const address = new URL(path, location.origin);
  if (address.origin !== location.origin) return;
  const [open] = await clients.matchAll({ type: "window" });
  if (!open) return void (await clients.openWindow(address.href));
  await open.focus();
  await open.navigate(address.href);
}
