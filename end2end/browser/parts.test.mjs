// What pages fetch of the console: no more than their budget, parts ahead of a click, nothing twice,
// and what is said when a part does not come.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { Server, endAll } from './server.mjs';
import { toldSession } from './showcase.mjs';

const BUDGET = 350_000;
const FETCHED = /Failed to load resource|Failed to fetch/;

let browser;
let server;
let told;
let home;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  told = await toldSession(server);
  home = `/workspaces/${told.workspace}`;
});

after(() => endAll(browser, server));

/** Notes what a page fetches of the bundle: its name and how many bytes of it came over the wire. */
async function noting(view) {
  const fetched = new Map();
  const names = new Map();
  const devtools = await view.context.newCDPSession(view.page);
  await devtools.send('Network.enable');
  devtools.on('Network.requestWillBeSent', ({ requestId, request }) => {
    const [, name] = /^\/pkg\/\w+\/(.+)$/.exec(new URL(request.url).pathname) ?? [];
    if (name) names.set(requestId, name);
  });
  // What an answer takes is its head at first, and in the end the whole. The budget is of files.
  const heads = new Map();
  devtools.on('Network.responseReceived', ({ requestId, response }) => {
    heads.set(requestId, response.encodedDataLength);
  });
  devtools.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    // What comes from the browser's own cache takes nothing, and has the head that it had.
    const size = Math.max(0, encodedDataLength - (heads.get(requestId) ?? 0));
    if (names.has(requestId)) fetched.set(names.get(requestId), size);
  });
  return fetched;
}

const bytes = (fetched) => [...fetched.values()].reduce((sum, size) => sum + size, 0);
const parts = (fetched) => [...fetched.keys()].filter((name) => name.startsWith('split_'));

test('a first page stays within its budget, and needs no part that it does not show', async () => {
  const pages = { '/sign-in': [], '/': [] };
  for (const [path, needed] of Object.entries(pages)) {
    const view = await openPage(browser, server, { signedIn: path !== '/sign-in' });
    const fetched = await noting(view);
    await view.open(server.url + path);
    assert.deepEqual(parts(fetched), needed, path);
    assert.ok(bytes(fetched) > 100_000, `${path} takes ${bytes(fetched)} bytes, which is too few`);
    assert.ok(bytes(fetched) <= BUDGET, `${path} takes ${bytes(fetched)} bytes`);
    await view.close();
  }
});

test('a second visit fetches nothing', async () => {
  const view = await openPage(browser, server);
  await view.open(server.url + home);
  const fetched = await noting(view);
  await view.open(`${server.url}/account`);
  const again = await view.page.evaluate(() => performance.getEntriesByType('resource')
    .filter(({ name, transferSize }) => name.includes('/pkg/') && transferSize > 0)
    .map(({ name }) => name));
  assert.deepEqual(again, []);
  assert.equal(bytes(fetched), 0);
  await view.close();
});

test('what is there is kept for ever, and what is not is asked for again', async () => {
  const view = await openPage(browser, server);
  await view.open(server.url + '/');
  const address = await view.page.locator('link[rel=modulepreload]').first().getAttribute('href');
  for (const [path, kept] of [[address, /immutable/], ['/pkg/gone/membrane.js', /no-store/]]) {
    const answer = await view.context.request.get(server.url + path);
    assert.match(answer.headers()['cache-control'], kept, path);
  }
  await view.close();
});

test('a part is fetched when a link to it is pointed at, and its page is there at a click', async () => {
  const view = await openPage(browser, server);
  const fetched = await noting(view);
  await view.open(server.url + '/');
  assert.deepEqual(parts(fetched), []);
  const link = view.page.getByRole('link', { name: 'Account' }).first();
  const came = view.page.waitForResponse(/split_settings\.wasm$/);
  await link.hover();
  await came;
  await link.click();
  await view.page.getByRole('heading', { name: 'Account' }).waitFor();
  await view.close();
});

test('what a page links to is fetched once it has been looked at for a while', async () => {
  const view = await openPage(browser, server);
  const came = ['changes', 'files', 'session'].map((name) => (
    view.page.waitForResponse((answer) => answer.url().endsWith(`/split_${name}.wasm`))));
  await view.open(server.url + home);
  await Promise.all(came);
  await view.close();
});

test('while a part is on its way there are grey lines, and then its page', async () => {
  const view = await openPage(browser, server);
  const { page } = view;
  let go;
  const held = new Promise((resolve) => { go = resolve; });
  await page.route('**/split_files.wasm', async (route) => {
    await held;
    await route.continue();
  });
  await view.open(server.url + home);
  await page.getByRole('link', { name: 'Files' }).first().click();
  await page.locator('main .skeleton').waitFor();
  assert.equal(new URL(page.url()).pathname, `${home}/files`);
  go();
  await page.locator('.files').waitFor();
  assert.equal(await page.locator('main .skeleton').count(), 0);
  await view.close();
});

test('a part that does not come is said, and comes when the page is loaded again', async () => {
  const view = await openPage(browser, server);
  const { page } = view;
  await page.route('**/split_changes.wasm', (route) => route.abort());
  await view.open(server.url + home);
  await page.getByRole('link', { name: 'Changes' }).first().click();
  await page.getByText('A part of the console could not be fetched.').waitFor();
  await page.unroute('**/split_changes.wasm');
  await page.getByRole('button', { name: 'Load again' }).click();
  await page.getByRole('heading', { name: 'Changes' }).waitFor();
  await view.alive();
  view.forgive(FETCHED);
  await view.close();
});

test('a page whose own part does not come stays readable and says so', async () => {
  const view = await openPage(browser, server);
  const { page } = view;
  await page.route('**/split_session.wasm', (route) => route.abort());
  await page.goto(`${server.url}${home}/sessions/${told.session}`);
  await page.getByRole('alert').getByText('nothing on it reacts').waitFor();
  await page.locator('.user-card').getByText('The project is small').waitFor();
  await page.unroute('**/split_session.wasm');
  view.forgive(/Failed to load resource|Failed to fetch|failed to load split module/);
  await page.getByRole('link', { name: 'Load it again' }).click();
  await view.alive();
  await view.close();
});
