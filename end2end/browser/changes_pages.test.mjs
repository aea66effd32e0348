// Changes that are too many for one page: change sets, and the files of one.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { work } from './changed.mjs';
import { Server, endAll } from './server.mjs';

const SETS = 52;
const FILES = 620;

let browser;
let server;
let workspace;
let first;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  workspace = await server.newWorkspace('Many changes', { permissionMode: 'PERMISSION_MODE_BYPASS_PERMISSIONS' });
  const session = await server.newSession(workspace);
  first = await work(server, session, `!bash for n in $(seq ${FILES}); do echo $n > f$n; done`);
  for (let n = 1; n < SETS; n += 1) await work(server, session, `!bash echo ${n} > latest`);
});

after(() => endAll(browser, server));

async function open(path) {
  const view = await openPage(browser, server);
  await view.open(`${server.url}/workspaces/${workspace}/changes${path}`);
  return view;
}

test('older change sets are on pages of their own, and each has its heading', async () => {
  const view = await open('');
  const { page } = view;
  const rows = page.locator('.rows > li');
  assert.equal(await rows.count(), 50);
  await page.getByRole('link', { name: 'Older' }).click();
  await page.getByRole('link', { name: 'Latest' }).waitFor();
  assert.equal(await rows.count(), SETS - 50);
  assert.equal(await page.getByRole('link', { name: 'Older' }).count(), 0);
  await page.reload();
  await view.alive();
  assert.equal(await rows.count(), SETS - 50);
  await rows.last().getByRole('link').first().click();
  await page.waitForURL(new RegExp(`/changes/${first}`));
  await page.getByRole('heading', { name: /Agent/ }).waitFor();
  await view.close();
});

test('more files of a change set are on pages of their own', async () => {
  const view = await open(`/${first}`);
  const { page } = view;
  const names = async () => page.locator('.change-link').evaluateAll((links) => links.map((link) => link.textContent.trim()));
  const seen = await names();
  assert.equal(seen.length, 500);
  await page.getByRole('link', { name: 'More files' }).click();
  await page.getByRole('link', { name: 'More files' }).waitFor({ state: 'detached' });
  seen.push(...(await names()));
  assert.equal(new Set(seen).size, FILES);
  await view.close();
});
