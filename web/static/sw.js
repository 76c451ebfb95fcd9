// The service worker of the whole site: pages as they were when there is no connection, and payments that wait.
//
// Pages come from the network as long as there is one. What is kept of them belongs to one person, whom the server
// names in a header: a page of somebody else, or of nobody (signed out), throws away all that was kept before it.
// web/pay/offline.py puts before this file which static files there are, and their version: self.SHELL.

importScripts("/static/wallet/database.js", "/static/wallet/delivery.js", "/static/wallet/push.js");

const FILES = `files-${SHELL.version}`, PAGES = "pages";
const WHOSE = "commonwatt-whose", OWNER = "/whose";
const INSTEAD = "/offline", PAYING = "/pay/offline";
const KEPT = /^\/(home|pay|ask|requests|favourites|movements|till|till\/sales|energy|me)$|^\/(p|ask|paid|movement|energy)\/[^?]+$/;
const MOVEMENT = /^\/movement\/\d+$/, PROOF = /^\/movement\/\d+\.proof$/;
const KEPT_MAX = 80;
const WAIT_MS = 10_000;
const PAYING_EVERY_MS = 5 * 60_000;
let payingAt = 0;

addEventListener("install", (event) => event.waitUntil(install()));
addEventListener("activate", (event) => event.waitUntil(activate()));
addEventListener("sync", (event) => event.waitUntil(deliver()));

addEventListener("fetch", (event) => {
  const { request } = event, url = new URL(request.url);
  if (url.origin !== location.origin) return;
  if (request.mode === "navigate" && request.method === "POST" && url.pathname === "/leave") {
    event.respondWith(forget().then(() => fetch(request)));
  } else if (request.method === "GET" && request.mode === "navigate") {
    event.respondWith(page(event, url));
  } else if (request.method === "GET" && PROOF.test(url.pathname)) {
    event.respondWith(fetch(request).catch(async () => (await (await caches.open(PAGES)).match(url.pathname)) ?? Response.error()));
  } else if (request.method === "GET" && url.pathname.startsWith("/static/")) {
    event.respondWith(fetch(request).catch(async () => (await caches.match(url.pathname)) ?? Response.error()));
  }
});

async function install() {
  const cache = await caches.open(FILES);
  await cache.addAll(SHELL.files);
  // Nobody's page: it is kept whoever signs in.
  await cache.put(INSTEAD, await fetch(INSTEAD, { credentials: "omit" }));
  await skipWaiting();
}

async function activate() {
  for (const name of await caches.keys()) if (![FILES, PAGES].includes(name)) await caches.delete(name);
  await clients.claim();
}

async function page(event, url) {
  let answer;
  try {
    answer = await fetch(event.request, { signal: AbortSignal.timeout(WAIT_MS) });
  } catch {
    return kept(url.pathname);
  }
  if (answer.ok && answer.headers.get("content-type")?.startsWith("text/html")) {
    event.waitUntil(keep(url, answer.clone()));
  }
  return answer;
}

/** A page as it was, or one that stands in for it. */
async function kept(path) {
  const pages = await caches.open(PAGES);
  const isPaying = path === "/pay" || /^\/pay\/[0-9a-f]{32}$/.test(path);
  const found = await pages.match(isPaying ? PAYING : path);
  return found ?? (await caches.match(INSTEAD)) ?? Response.error();
}

async function keep(url, answer) {
  const whose = answer.headers.get(WHOSE) ?? "";
  if (whose !== await owner()) await forget(whose);
  if (!whose) return;
  const pages = await caches.open(PAGES);
  if (KEPT.test(url.pathname)) await pages.put(url.pathname, answer);
  if (MOVEMENT.test(url.pathname)) await fetchInto(pages, `${url.pathname}.proof`);
  if (Date.now() - payingAt > PAYING_EVERY_MS) await keepPaying(pages);
  const keys = await pages.keys();
  const old = keys.filter((key) => ![OWNER, PAYING].includes(new URL(key.url).pathname)).slice(0, -KEPT_MAX);
  for (const key of old) await pages.delete(key);
}

/** The form of payments for when there is no connection: members have one, offices none. */
async function keepPaying(pages) {
  payingAt = Date.now();
  await fetchInto(pages, PAYING);
}

async function fetchInto(pages, path) {
  const answer = await fetch(path).catch(() => null);
  if (answer?.ok && !answer.redirected) await pages.put(path, answer);
}

async function owner() {
  const found = await (await caches.open(PAGES)).match(OWNER);
  return found ? found.text() : "";
}

/** Throw away what was kept of somebody; from now on it is kept for `whose`. */
async function forget(whose = "") {
  await caches.delete(PAGES);
  payingAt = 0;
  if (whose) await (await caches.open(PAGES)).put(OWNER, new Response(whose));
}

/** There is a connection again: what waits goes out, and open pages hear of it. */
async function deliver() {
  await self.commonwatt.delivery.deliverAll();
  for (const client of await clients.matchAll({ type: "window" })) client.postMessage("outbox");
}
