// Takes the pictures: `node shots.mjs PLAN`, a JSON file that shots/__main__.py writes.
// PLAN: {site, dashboards, influx, zone, interval, chromium, out, shots: [{name, file, database, from, to, width, theme, variables}]}
// Prints one JSON line for each dashboard: what it asked, what failed. Exit code 1 if anything failed.
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import puppeteer from 'puppeteer-core';

const QUIET_MS = 1200; // nothing asked and nothing answered for so long: everything is drawn
const GIVE_UP_MS = 60_000;
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.svg': 'image/svg+xml' };

const plan = JSON.parse(await readFile(process.argv[2], 'utf8'));

const inPackage = (name, folder) => fileURLToPath(import.meta.resolve(`${name}/package.json`).replace(/package.json$/, folder));
const FOLDERS = {
  '/dashboards': plan.dashboards,
  '/public/build': inPackage('@grafana/ui', 'dist/public'),
  '/public/fonts/inter': inPackage('@fontsource/inter', 'files'),
};
const FONTS = { '/Inter-Regular.woff2': '/inter-latin-400-normal.woff2', '/Inter-Medium.woff2': '/inter-latin-500-normal.woff2' };

/** The page, the dashboards, and the database, behind one address. */
async function answer(request, response) {
  const url = new URL(request.url, 'http://shots');
  if (url.pathname === '/query') {
    const asked = await fetch(`${plan.influx}/query?${url.searchParams}`);
    response.writeHead(asked.status, { 'Content-Type': 'application/json' }).end(await asked.text());
    return;
  }
  const [, folder, name] = /^(\/dashboards|\/public\/build|\/public\/fonts\/inter)?(\/.*)$/.exec(url.pathname);
  const file = path.join(FOLDERS[folder] ?? plan.site, path.normalize(name === '/' ? '/index.html' : (FONTS[name] ?? name)));
  const body = await readFile(file);
  response.writeHead(200, { 'Content-Type': TYPES[path.extname(file)] ?? 'application/octet-stream' }).end(body);
}

const server = http.createServer((request, response) =>
  answer(request, response).catch((error) => response.writeHead(404).end(String(error)))
);
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const home = `http://127.0.0.1:${server.address().port}`;

async function take(browser, shot) {
  const page = await browser.newPage();
  const failed = [];
  page.on('pageerror', (error) => failed.push(`page: ${error.stack ?? error}`));
  page.on('response', (response) => response.status() >= 400 && failed.push(`${response.status()} ${response.url()}`));
  const { width = 1600, theme = 'dark' } = shot;
  await page.setViewport({ width, height: 900 });
  const query = new URLSearchParams({ d: shot.file, from: shot.from, to: shot.to, theme, zone: plan.zone, db: shot.database, interval: plan.interval });
  for (const [name, value] of Object.entries(shot.variables ?? {})) query.set(`var-${name}`, value);
  await page.goto(`${home}/?${query}`);
  const told = () => page.evaluate(() => window.shots ?? { queries: [], errors: ['the page did not start'] });
  const isQuiet = (quiet) =>
    window.shots?.pending === 0 && window.shots.queries.length > 0 && performance.now() - window.shots.changed > quiet;
  const isDrawn = () =>
    page.waitForFunction(isQuiet, { timeout: GIVE_UP_MS }, QUIET_MS).catch((error) => failed.push(error.message));
  await isDrawn();
  const height = await page.evaluate(() => Math.ceil(document.getElementById('root').getBoundingClientRect().height));
  await page.setViewport({ width, height });
  await isDrawn();
  await page.screenshot({ path: path.join(plan.out, `${shot.name}.png`) });
  const { queries, errors } = await told();
  failed.push(...(await page.evaluate(() => window.failures?.() ?? [])));
  await page.close();
  return { name: shot.name, height, queries, errors: [...failed, ...errors] };
}

const browser = await puppeteer.launch({
  executablePath: plan.chromium,
  args: ['--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--force-color-profile=srgb'],
});
try {
  for (const shot of plan.shots) {
    const seen = await take(browser, shot);
    if (seen.errors.length) process.exitCode = 1;
    console.log(JSON.stringify(seen));
  }
} finally {
  await browser.close();
  server.close();
}
