// What may leave: a refused host is shown, allowed with a button, and reached; settings are edited in
// plain words; and a page lists all that was decided.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { Server, endAll } from './server.mjs';
import { SessionView } from './session_view.mjs';

// Programs go to 127.0.0.1 without asking the proxy.
let browser;
let outside;
let host;
let server;

before(async () => {
  outside = createServer((_, answer) => answer.end('from outside')).listen(0, '127.0.0.2');
  await once(outside, 'listening');
  host = `127.0.0.2:${outside.address().port}`;
  server = await Server.start('--egress-allow-private', '127.0.0.2');
  browser = await openBrowser();
});

after(async () => {
  outside.close();
  await endAll(browser, server);
});

const listed = { mode: 'EGRESS_MODE_LISTED', presets: ['rust'], hosts: ['example.com'] };

function newWorkspace(name, egress) {
  return server.newWorkspace(name, { permissionMode: 'PERMISSION_MODE_BYPASS_PERMISSIONS', egress });
}

test('a refused host is shown, allowed with a button, and then reached', async () => {
  const workspace = await newWorkspace('Asks to leave', listed);
  const id = await server.newSession(workspace);
  const view = await openPage(browser, server);
  await view.open(`${server.url}/workspaces/${workspace}/sessions/${id}`);
  const session = new SessionView(view);
  const fetched = `!bash curl -sS http://${host}/`;
  await session.say(fetched);
  await session.turnHasEnded('Done');
  const refusal = view.page.locator('.egress-line');
  await refusal.getByText(`${host} is not on this workspace's list of hosts`).waitFor();

  await refusal.getByRole('button', { name: 'Allow this host' }).click();
  await refusal.getByText('It is on the list now').waitFor();
  assert.equal(await refusal.getByRole('button').count(), 0);
  const { workspace: stored } = await server.rpc('WorkspaceService/GetWorkspace', { workspaceId: workspace });
  assert.deepEqual(stored.settings.egress, { ...listed, hosts: ['example.com', host] });

  await session.say(fetched);
  await server.turnEnds(id, 2);
  const output = await session.output(session.tool('Bash').nth(1));
  assert.match(output, /from outside/);
  assert.match(output, new RegExp(`${host}\\s+\\d.* sent, \\d.* received`));

  await view.page.reload();
  await view.alive();
  await refusal.getByText('It is on the list now').waitFor();

  await view.page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name: 'Activity' }).click();
  await view.page.locator('.activity-row').nth(3).waitFor();
  await view.page.getByRole('link', { name: 'Refused', exact: true }).click();
  await view.page.waitForURL(/show=refused/);
  await view.page.locator('.activity-row').nth(1).waitFor({ state: 'detached' });
  assert.match(await view.page.locator('.activity-row').innerText(), new RegExp(`${host}[^]*not on the list`));
  await view.page.locator('.activity-row').click();
  await view.page.waitForURL(/\/sessions\/.*#e\d+$/);
  await view.page.locator('.egress-line').waitFor();
  await view.close();
});

test('who only looks sees what was refused, and no button', async () => {
  const workspace = await newWorkspace('Looked at', listed);
  const id = await server.newSession(workspace);
  await server.send(id, `!bash curl -sS http://${host}/`);
  await server.turnEnds(id);
  await server.command('user', 'create', 'Viola');
  const { users } = await server.rpc('AccountService/ListUsers');
  const userId = users.find(({ name }) => name === 'Viola').id;
  await server.rpc('WorkspaceService/SetMember', { workspaceId: workspace, userId, role: 'ROLE_VIEWER' });
  const view = await openPage(browser, server, { signedIn: false });
  const token = new URL(await server.command('login-link', '--user', 'Viola')).hash.replace('#token=', '');
  await view.context.request.post(`${server.url}/auth/exchange`, { data: { token } });
  await view.open(`${server.url}/workspaces/${workspace}/sessions/${id}`);
  await view.page.locator('.egress-line').getByText('is not on this workspace\'s list of hosts').waitFor();
  assert.equal(await view.page.getByRole('button', { name: 'Allow this host' }).count(), 0);
  await view.open(`${server.url}/workspaces/${workspace}/activity`);
  await view.page.locator('.activity-row').first().waitFor();
  assert.equal(await view.page.getByRole('button', { name: 'Allow this host' }).count(), 0);
  await view.close();
});

test('what is never reached has no button', async () => {
  const workspace = await newWorkspace('Asks to leave', { mode: 'EGRESS_MODE_PUBLIC' });
  const id = await server.newSession(workspace);
  await server.send(id, `!bash curl -sS http://${host}/`);
  await server.turnEnds(id);
  const view = await openPage(browser, server);
  await view.open(`${server.url}/workspaces/${workspace}/sessions/${id}`);
  await view.page.locator('.egress-line').getByText('127.0.0.2 is a loopback address').waitFor();
  assert.equal(await view.page.getByRole('button', { name: 'Allow this host' }).count(), 0);
  await view.close();
});

test('what may be reached is chosen in plain words', async () => {
  const workspace = await newWorkspace('Set up');
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/settings`);
  const network = page.getByRole('region', { name: 'Network' });
  assert.equal(await network.getByRole('radio', { name: /^Nothing/ }).isChecked(), true);
  assert.equal(await network.getByLabel('Other hosts').isVisible(), false);
  await network.getByRole('radio', { name: /^Hosts on a list/ }).check();
  await network.getByRole('checkbox', { name: /^Python/ }).check();
  await network.getByLabel('Other hosts').fill('https://example.com');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('`https://example.com` is no host').waitFor();
  await network.getByLabel('Other hosts').fill('Example.com.\n\n *.example.org:8443 ');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved. It holds from the next turn on.').waitFor();
  await page.reload();
  await view.alive();
  assert.equal(await network.getByLabel('Other hosts').inputValue(), 'example.com\n*.example.org:8443');
  assert.equal(await network.getByRole('checkbox', { name: /^Python/ }).isChecked(), true);
  assert.equal(await network.getByRole('checkbox', { name: /^Rust/ }).isChecked(), false);
  await page.getByRole('navigation', { name: 'Console' }).getByText('Network: hosts on a list').waitFor();
  const { workspace: stored } = await server.rpc('WorkspaceService/GetWorkspace', { workspaceId: workspace });
  assert.deepEqual(stored.settings.egress, {
    mode: 'EGRESS_MODE_LISTED', presets: ['python'], hosts: ['example.com', '*.example.org:8443'],
  });
  await view.close();
});
