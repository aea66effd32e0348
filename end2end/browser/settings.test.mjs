// Settings: what is saved holds, and a key that is stored is never seen again.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { ScriptedModel, Server, endAll } from './server.mjs';
import { SessionView } from './session_view.mjs';

// The provider's key in all tests here. What it begins with keeps scanners calm.
const key = `canary-${randomBytes(24).toString('hex')}`;

let browser;
let model;
let server;

before(async () => {
  model = await ScriptedModel.start(key);
  const tools = ['--sandbox-extra-toolchains', 'sayings=/var/lib;letters=/var/cache'];
  server = await Server.start('--egress-allow-private', '127.0.0.1', '--log', 'trace', ...tools);
  browser = await openBrowser();
});

after(() => endAll(browser, server, model));

async function openSettings(settings) {
  const workspace = await server.newWorkspace('set up', settings);
  const view = await openPage(browser, server);
  await view.open(`${server.url}/workspaces/${workspace}/settings`);
  return { view, page: view.page, workspace };
}

async function save(page) {
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved. It holds from the next turn on.').waitFor();
}

function choice(page, name) {
  return page.locator('label.choice').filter({ has: page.getByText(name, { exact: true }) }).locator('input');
}

test('model, permission mode, tools and instructions are saved and hold for the next turn', async () => {
  const { view, page, workspace } = await openSettings();
  await page.getByRole('combobox', { name: 'Model' }).fill('another-model');
  await choice(page, 'Ask before commands').check();
  await choice(page, 'Bash').uncheck();
  await choice(page, "Membrane's own, then yours").check();
  await page.getByLabel('Your instructions').fill('Write <plainly> & "well".');
  await save(page);
  await page.reload();
  await view.alive();
  assert.equal(await page.getByRole('combobox', { name: 'Model' }).inputValue(), 'another-model');
  assert.equal(await choice(page, 'Ask before commands').isChecked(), true);
  assert.equal(await choice(page, 'Bash').isChecked(), false);
  assert.equal(await page.getByLabel('Your instructions').inputValue(), 'Write <plainly> & "well".');
  const { workspace: stored } = await server.rpc('WorkspaceService/GetWorkspace', { workspaceId: workspace });
  assert.equal(stored.settings.permissionMode, 'PERMISSION_MODE_ACCEPT_EDITS');
  assert.ok(!stored.settings.allowedTools.includes('Bash'));

  const session = await server.newSession(workspace);
  await server.send(session, '!write new.txt hello', '!bash true');
  const events = (await server.turnEnds(session)).map((event) => event.payload);
  assert.equal(events.find((payload) => payload.turnStarted).turnStarted.model, 'another-model');
  const results = events.filter((payload) => payload.toolResult).map((payload) => payload.toolResult);
  assert.deepEqual(results.map((result) => Boolean(result.isError)), [false, true]);
  await view.close();
});

test('a provider key is stored, tested and used, and is nowhere to be found afterwards', async () => {
  const { view, page, workspace } = await openSettings();
  await choice(page, 'Custom').check();
  await page.getByLabel('Base URL').fill(model.url);
  await page.getByRole('combobox', { name: 'Model' }).fill('a-model');
  await save(page);
  await storeKey(page, 'a-wrong-key');
  await page.getByRole('button', { name: /Test/ }).click();
  await page.getByText('MODEL_AUTHENTICATION').waitFor();
  await storeKey(page, key);
  await page.getByRole('button', { name: /Test/ }).click();
  await page.getByText(/It works: a-model answered/).waitFor();

  const session = await server.newSession(workspace);
  await server.send(session, '!bash env; cat /proc/self/environ', '!say I was asked with a key.');
  await page.goto(`${server.url}/workspaces/${workspace}/sessions/${session}`);
  await view.alive();
  const shown = new SessionView(view);
  await shown.allow();
  await shown.turnHasEnded('Done');
  const pages = [await page.content()];
  for (const path of ['', '/settings', `/sessions/${session}`]) {
    await page.goto(`${server.url}/workspaces/${workspace}${path}`);
    await view.alive();
    pages.push(await page.content(), await (await page.request.get(page.url())).text());
  }
  assert.deepEqual(pages.filter(mentionsKey), []);
  assert.deepEqual(filesIn(server.data).filter((file) => mentionsKey(readFileSync(file))), []);
  await view.close();
});

test('a workspace is deleted only when its name is typed', async () => {
  const { view, page, workspace } = await openSettings();
  const button = page.getByRole('button', { name: 'Delete workspace' });
  assert.equal(await button.isDisabled(), true);
  await page.getByLabel(/to confirm/).fill('set up');
  await button.click();
  await page.waitForURL(`${server.url}/`);
  const { workspaces = [] } = await server.rpc('WorkspaceService/ListWorkspaces');
  assert.ok(!workspaces.some(({ id }) => id === workspace));
  await view.close();
});

async function storeKey(page, value) {
  const field = page.getByLabel('Key for Custom');
  await field.fill(value);
  const stored = page.waitForResponse((answer) => answer.url().endsWith('/SetProviderKey'));
  await field.press('Enter');
  await stored;
  await page.locator('.key.current').getByRole('button', { name: 'Replace' }).waitFor();
  assert.equal(await field.inputValue(), '');
}

/** Whether bytes hold the key, plain or in a common encoding. */
function mentionsKey(content) {
  const bytes = Buffer.from(content);
  const plain = Buffer.from(key);
  const base64 = [0, 1, 2].flatMap((shift) => {
    // Without the first and last letters, which depend on what stands around it.
    const text = Buffer.concat([Buffer.alloc(shift), plain]).toString('base64').slice(4, -4);
    return [text, text.replaceAll('+', '-').replaceAll('/', '_')];
  });
  const hex = plain.toString('hex');
  const reversed = [...key].reverse().join('');
  return [key, ...base64, hex, hex.toUpperCase(), reversed].some((form) => bytes.includes(form));
}

function filesIn(directory) {
  return readdirSync(directory, { recursive: true })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
}

test('a toolchain that is offered is hidden with a tick', async () => {
  const { view, page, workspace } = await openSettings();
  const tools = page.getByRole('region', { name: 'Toolchains' });
  assert.equal(await tools.getByRole('checkbox', { name: /^sayings/ }).isChecked(), true);
  await tools.getByRole('checkbox', { name: /^letters/ }).uncheck();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved. It holds from the next turn on.').waitFor();
  const stored = await server.rpc('WorkspaceService/GetWorkspace', { workspaceId: workspace });
  assert.deepEqual(stored.workspace.settings.hiddenToolchains, ['letters']);
  await page.reload();
  await view.alive();
  assert.equal(await tools.getByRole('checkbox', { name: /^letters/ }).isChecked(), false);
  assert.equal(await tools.getByRole('checkbox', { name: /^sayings/ }).isChecked(), true);
  await view.close();
});
