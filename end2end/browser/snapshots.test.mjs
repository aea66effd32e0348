// Snapshots: taken, looked at, brought back and undone, kept and let go; by whom it is allowed.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { look, looks } from './look.mjs';
import { Server, endAll } from './server.mjs';
import { write } from './tree.mjs';

let browser;
let server;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
});

after(() => endAll(browser, server));

async function read(workspaceId, path) {
  const address = `${server.url}/workspaces/${workspaceId}/files/raw?path=${encodeURIComponent(path)}`;
  const answer = await fetch(address, { headers: { authorization: `Bearer ${server.token}` } });
  return answer.text();
}

async function furnished(name) {
  const workspace = await server.newWorkspace(name);
  await write(server, workspace, 'src/main.rs', 'fn main() {}\n');
  await write(server, workspace, 'notes.md', '# Notes\n');
  return workspace;
}

function take(workspaceId, title) {
  return server.rpc('SnapshotService/CreateSnapshot', { workspaceId, title });
}

test('a snapshot is taken, compared, restored, and the restore undone', async () => {
  const workspace = await furnished('Pictures');
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/snapshots`);
  await page.getByText('No snapshots yet').waitFor();
  await page.getByLabel('What to call it, if you like').fill('Before the change');
  await page.getByRole('button', { name: 'Take a snapshot' }).click();
  await page.getByRole('link', { name: 'Before the change', exact: true }).waitFor();

  await write(server, workspace, 'src/main.rs', 'fn main() { panic!() }\n');
  await page.getByRole('link', { name: 'Before the change', exact: true }).click();
  await page.getByRole('heading', { name: 'Since “Before the change”' }).waitFor();
  await page.getByText('panic!()').first().waitFor();
  await page.getByRole('link', { name: 'The whole list' }).click();

  await page.getByRole('button', { name: 'Restore Before the change' }).click();
  await page.getByText('All files become as they are in this snapshot.').waitFor();
  await page.getByRole('group', { name: 'Confirm' }).getByRole('button', { name: 'Restore' }).click();
  await page.getByText('Restored: 1 entry changed.').waitFor();
  assert.equal(await read(workspace, 'src/main.rs'), 'fn main() {}\n');
  await page.getByText('kept by a restore').waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByText('The files are as they were before.').waitFor();
  assert.equal(await read(workspace, 'src/main.rs'), 'fn main() { panic!() }\n');
  await view.close();
});

test('what a snapshot brought is shown against the one before it', async () => {
  const workspace = await furnished('Two pictures');
  await take(workspace, 'first');
  await write(server, workspace, 'added.txt', 'new\n');
  await take(workspace, 'second');
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/snapshots`);
  await page.getByRole('link', { name: 'What was new' }).click();
  await page.getByRole('heading', { name: 'From “first” to “second”' }).waitFor();
  await page.getByRole('link', { name: 'added.txt' }).waitFor();
  await view.close();
});

test('a pinned snapshot can not be deleted, and another one can', async () => {
  const workspace = await furnished('Pinned');
  await take(workspace, 'keep me');
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/snapshots`);
  await page.getByRole('button', { name: 'Pin keep me', exact: true }).click();
  await page.getByText('pinned', { exact: true }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Delete keep me' }).count(), 0);
  await page.getByRole('button', { name: 'Unpin keep me' }).click();
  await page.getByRole('button', { name: 'Delete keep me' }).click();
  await page.getByRole('button', { name: 'Really delete' }).click();
  await page.getByText('No snapshots yet').waitFor();
  await view.close();
});

test('an archive of a snapshot can be saved', async () => {
  const workspace = await furnished('Saved');
  await take(workspace, 'to be saved');
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/snapshots`);
  const saved = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download to be saved' }).click();
  assert.equal((await saved).suggestedFilename(), 'snapshot.zip');
  await view.close();
});

test('why a restore is refused is said', async () => {
  const workspace = await furnished('Busy');
  await server.rpc('WorkspaceService/UpdateWorkspace', {
    workspace: { id: workspace, settings: { permissionMode: 'PERMISSION_MODE_DEFAULT' } },
    updateMask: 'settings.permissionMode',
  });
  await take(workspace, 'before');
  const session = await server.newSession(workspace);
  await server.send(session, '!bash true');
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/snapshots`);
  await page.getByRole('button', { name: 'Restore before' }).click();
  await page.getByRole('group', { name: 'Confirm' }).getByRole('button', { name: 'Restore' }).click();
  await page.getByText('an agent works in this workspace').waitFor();
  view.forgive(/status of 400/);
  await view.close();
});

for (const { name: on, ...options } of looks) {
  test(`snapshots are sound on a ${on}`, async () => {
    const problems = [];
    const workspace = await furnished('Looks');
    const empty = await server.newWorkspace('Empty');
    const { snapshot } = await take(workspace, 'The first of some, with a title that goes on and on until it fits nowhere');
    await write(server, workspace, 'notes.md', '# Other notes\n');
    await take(workspace, '');
    await server.rpc('SnapshotService/UpdateSnapshot', {
      workspaceId: workspace, snapshot: { id: snapshot.id, pinned: true }, updateMask: 'pinned',
    });
    await server.rpc('SnapshotService/RestoreSnapshot', { workspaceId: workspace, snapshotId: snapshot.id });
    const view = await openPage(browser, server, options);
    await view.open(`${server.url}/workspaces/${empty}/snapshots`);
    problems.push(...await look(view.page, `snapshots-empty-${on}`));
    await view.open(`${server.url}/workspaces/${workspace}/snapshots`);
    await view.page.getByRole('button', { name: /^Restore The first/ }).click();
    await view.page.getByText('All files become').waitFor();
    problems.push(...await look(view.page, `snapshots-${on}`));
    await view.close();
    assert.deepEqual(problems, []);
  });
}
