// What can be read in a browser that runs no scripts.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { Server, endAll } from './server.mjs';
import { zippedCrate } from './project.mjs';
import { toldSession } from './showcase.mjs';

let browser;
let server;
let told;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  told = await toldSession(server);
});

after(() => endAll(browser, server));

async function open(path) {
  const view = await openPage(browser, server, { javaScriptEnabled: false });
  await view.page.goto(server.url + path);
  return view;
}

test('the workspaces are listed and lead to their sessions', async () => {
  const view = await open('/');
  await view.page.getByRole('link', { name: /Shop front/ }).click();
  await view.page.getByRole('heading', { name: 'Shop front' }).waitFor();
  await view.page.locator('main').getByRole('link', { name: /The project is small/ }).click();
  await view.page.locator('.user-card').getByText('The project is small').waitFor();
  await view.close();
});

test('a session is readable with its tools and their output', async () => {
  const view = await open(`/workspaces/${told.workspace}/sessions/${told.session}`);
  const text = await view.page.locator('.entries').innerText();
  assert.match(text, /I look at the files first/);
  const card = view.page.locator('details.tool').filter({ hasText: 'Bash' });
  await card.locator('summary').first().click();
  assert.match(await card.innerText(), /oops/);
  assert.match(await view.page.locator('.turn-line').innerText(), /Done/);
  await view.close();
});

test('the settings are readable', async () => {
  const view = await open(`/workspaces/${told.workspace}/settings`);
  assert.equal(await view.page.getByLabel('Name', { exact: true }).inputValue(), 'Shop front');
  assert.equal(await view.page.locator('input[name=permission_mode]:checked').inputValue(), 'bypass');
  assert.equal(await view.page.locator('input[name=tool]:checked').count(), 8);
  await view.close();
});

test('a zip can be uploaded', async () => {
  const view = await open('/workspaces/new');
  await view.page.getByLabel('Name').fill('by form alone');
  await view.page.getByLabel('Start from').setInputFiles(zippedCrate().zip);
  await view.page.getByRole('button', { name: 'Create workspace' }).click();
  await view.page.getByRole('heading', { name: 'by form alone' }).waitFor();
  await view.close();
});
