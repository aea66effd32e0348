// The account page: tokens for scripts and, for administrators, for runners.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { look, looks } from './look.mjs';
import { Server, endAll } from './server.mjs';

let browser;
let server;
let workspace;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  workspace = await server.newWorkspace('Greenhouse <b>');
});

after(() => endAll(browser, server));

async function openAccount(of = server, options = {}) {
  const view = await openPage(browser, of, options);
  await view.open(`${server.url}/account`);
  const section = (name) => view.page.getByRole('region', { name });
  return { view, page: view.page, scripts: section('API tokens'), runners: section('Runners') };
}

/** Deletes a token as a person does: asked once more. */
async function removed(section, name) {
  const row = section.getByRole('listitem').filter({ hasText: name });
  await row.getByRole('button', { name: 'Delete' }).click();
  await row.getByRole('button', { name: 'Really delete?' }).click();
  await row.waitFor({ state: 'detached' });
}

function holding(token) {
  return Object.assign(Object.create(server), { token });
}

test('a token for a script is shown once, opens what its user may do, and ends when it is deleted', async () => {
  const { view, scripts } = await openAccount();
  await scripts.getByLabel('What it is for').fill('nightly');
  await scripts.getByRole('button', { name: 'Create token' }).click();
  const secret = await scripts.locator('.secret code').innerText();
  const script = holding(secret);
  const { workspaces } = await script.rpc('WorkspaceService/ListWorkspaces');
  assert.deepEqual(workspaces.map((one) => one.id), [workspace]);
  await scripts.getByRole('button', { name: 'Done' }).click();
  assert.equal(await scripts.getByText(secret).count(), 0);
  await removed(scripts, 'nightly');
  await assert.rejects(script.rpc('WorkspaceService/ListWorkspaces'), /unauthenticated/);
  await view.close();
});

test('a token for a runner is bound to a workspace, seen at work, and ends when it is deleted', async () => {
  const { view, page, runners } = await openAccount();
  await runners.getByText('No tokens yet.').waitFor();
  await runners.getByLabel('Which runner').fill('by the window');
  await runners.getByLabel('Works for').selectOption({ label: 'Greenhouse <b>' });
  await runners.getByRole('button', { name: 'Create token' }).click();
  const runner = holding(await runners.locator('.secret code').innerText());
  const row = runners.getByRole('listitem').filter({ hasText: 'by the window' });
  await row.getByText('never here, for Greenhouse <b>').waitFor();
  const elsewhere = await server.newWorkspace('Elsewhere');
  await server.rpc('RunService/CreateRun', { workspaceId: elsewhere, spec: { prompt: 'Not for it.' } });
  await server.rpc('RunService/CreateRun', { workspaceId: workspace, spec: { prompt: 'Water them.' } });
  const { run } = await runner.rpc('RunService/ClaimRun', { runnerName: 'a test', wait: '10s' });
  assert.equal(run.workspaceId, workspace);
  await page.reload();
  await view.alive();
  await row.getByText('last here').waitFor();
  await removed(runners, 'by the window');
  await assert.rejects(runner.rpc('RunService/ClaimRun', { runnerName: 'a test' }), /unauthenticated/);
  await view.close();
});

test('who is no administrator sees no runners', async () => {
  await server.command('user', 'create', 'ann');
  const ann = Object.assign(Object.create(server), { loginLink: () => server.command('login-link', '--user', 'ann') });
  const { view, scripts, runners } = await openAccount(ann);
  await scripts.getByText('No tokens yet.').waitFor();
  assert.equal(await runners.count(), 0);
  await view.close();
});

for (const { name: on, ...options } of looks) {
  test(`the account is sound on a ${on}`, async () => {
    const { runnerToken } = await server.rpc('RunService/CreateRunnerToken', { name: `a runner with a long name on a ${on}` });
    const { view, page, runners } = await openAccount(server, options);
    await runners.getByText('never here').waitFor();
    await runners.getByText('Start a runner').scrollIntoViewIfNeeded();
    assert.deepEqual(await look(page, `account-runners-${on}`), []);
    await server.rpc('RunService/DeleteRunnerToken', { runnerTokenId: runnerToken.id });
    await view.close();
  });
}
