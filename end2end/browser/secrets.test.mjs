// The secrets page: what is stored is listed and masked, and never shown.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { look, looks } from './look.mjs';
import { Server, endAll } from './server.mjs';

const value = 'canary "5b1c" of a person';

let browser;
let server;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
});

after(() => endAll(browser, server));

async function openSecrets(options) {
  const view = await openPage(browser, server, options);
  await view.open(`${server.url}/account/secrets`);
  return { view, page: view.page };
}

function row(page, name) {
  return page.locator('.secret-row').filter({ hasText: name });
}

async function store(page, name, text) {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Value').fill(text);
  await page.getByLabel('Value').press('Tab');
  await page.keyboard.press('Enter');
  await row(page, name).waitFor();
}

for (const { name: on, ...options } of looks) {
  test(`the page without secrets teaches on a ${on}`, async () => {
    const { view, page } = await openSecrets(options);
    await page.getByRole('heading', { name: 'No secrets yet' }).waitFor();
    await page.getByText('SecretService/CreateSecret').waitFor();
    assert.deepEqual(await look(page, `secrets-empty-${on}`), []);
    await view.close();
  });
}

test('a secret is stored, rotated and deleted, and its value is never on the page', async () => {
  const { view, page } = await openSecrets();
  await store(page, 'registry-token', value);
  assert.equal(await page.getByLabel('Value').inputValue(), '');
  await page.getByLabel('Value').fill('short');
  await page.getByText('fewer than 8 characters').waitFor();
  await store(page, 'pin', 'short');
  await row(page, 'pin').getByText('too short to be masked').waitFor();
  assert.equal(await row(page, 'registry-token').getByText('too short').count(), 0);

  const session = await server.newSession(await server.newWorkspace('with a secret'));
  await server.send(session, `!say It is ${value}, you say.`);
  const said = JSON.stringify(await server.turnEnds(session));
  assert.match(said, /It is \[redacted\], you say/);
  assert.ok(!said.includes('5b1c'));

  await page.getByRole('button', { name: 'Rotate registry-token' }).click();
  const field = row(page, 'registry-token').getByLabel('Value');
  await field.fill('another canary 77aa');
  const rotated = page.waitForResponse((answer) => answer.url().endsWith('/RotateSecret'));
  await row(page, 'registry-token').getByRole('button', { name: 'Store the new value' }).click();
  await rotated;
  await field.waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'Delete pin' }).click();
  await row(page, 'pin').getByRole('button', { name: 'Keep it' }).click();
  await page.getByRole('button', { name: 'Delete pin' }).click();
  await row(page, 'pin').getByRole('button', { name: 'Really delete' }).click();
  await row(page, 'pin').waitFor({ state: 'detached' });

  await page.reload();
  await view.alive();
  await row(page, 'registry-token').waitFor();
  assert.ok(!/5b1c|77aa/.test(await page.content()));
  const { secrets } = await server.rpc('SecretService/ListSecrets');
  assert.deepEqual(secrets.map(({ name, redacted }) => [name, redacted]), [['registry-token', true]]);
  await view.close();
});

test('what the server refuses is said and nothing is stored', async () => {
  const { view, page } = await openSecrets();
  await store(page, 'taken', value);
  await page.getByLabel('Name').fill('taken');
  await page.getByLabel('Value').fill(value);
  await page.getByRole('button', { name: 'Store secret' }).click();
  await page.getByText('a secret of this name already exists').waitFor();
  assert.equal(await row(page, 'taken').count(), 1);
  await view.close();
});
