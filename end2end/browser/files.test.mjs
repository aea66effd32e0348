// The files of a workspace: reading, and everything that can be done to one.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { Server, endAll, eventually } from './server.mjs';
import { filledFiles, link, mainRs, names, openFiles, write } from './tree.mjs';

let browser;
let server;
let workspace;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  workspace = await filledFiles(server);
});

after(() => endAll(browser, server));

const at = (path = '', id = workspace) => `${server.url}/workspaces/${id}/files${path}`;
const open = (path = '', id = workspace, options = {}) => openFiles(browser, server, id, path, options);
const toast = (page, words) => page.locator('.toast').filter({ hasText: words });

/** Chooses one of the actions of an entry. */
async function act(page, name, action) {
  await page.getByRole('button', { name: `Actions for ${name}`, exact: true }).click();
  await page.locator('.menu-list').getByText(action, { exact: true }).click();
}

test('one goes from the top down to a file and back, and the tree goes along', async () => {
  const { view, page, list } = await open();
  await link(list, 'src').click();
  await page.waitForURL(at('/src'));
  await link(list, 'main.rs').click();
  await page.waitForURL(at('/src/main.rs'));
  await page.locator('.lines').getByText('Hello <b>{}</b>').waitFor();
  assert.equal(await page.locator('.line').count(), 8);
  const row = page.getByRole('treeitem', { name: 'main.rs' });
  assert.equal(await row.getAttribute('aria-current'), 'page');
  assert.equal(await row.getAttribute('aria-level'), '2');
  await page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link', { name: 'src' }).click();
  await page.waitForURL(at('/src'));
  await link(list, 'deep').waitFor();
  await page.goBack();
  await page.locator('.line').first().waitFor();
  await page.goBack();
  await page.goBack();
  await link(list, 'README.md').waitFor();
  // What was opened in the tree stays open.
  await page.getByRole('treeitem', { name: 'main.rs' }).waitFor();
  await view.close();
});

test('an address shows a file at a line, and a line has an address', async () => {
  const { view, page } = await open('/src/main.rs#L7');
  await page.locator('#L7.marked').waitFor();
  await page.locator('#L3 > a').click();
  await page.waitForURL(at('/src/main.rs#L3'));
  await page.locator('#L3.marked').waitFor();
  assert.equal(await page.locator('.line.marked').count(), 1);
  await view.close();
});

test('the tree is worked by keys', async () => {
  const { view, page } = await open();
  const tree = page.getByRole('tree');
  const active = () => tree.evaluate((element) => {
    const id = element.getAttribute('aria-activedescendant');
    return document.getElementById(id)?.innerText.trim();
  });
  const press = async (key, expected) => {
    await tree.press(key);
    await eventually(`${key} leads to ${expected}`, async () => (await active()) === expected, 5);
  };
  await tree.focus();
  await press('Home', 'hostile');
  await press('ArrowDown', 'src');
  await press('ArrowRight', 'src');
  await page.getByRole('treeitem', { name: 'deep' }).waitFor();
  await press('ArrowRight', 'deep');
  await press('ArrowDown', 'main.rs');
  await press('ArrowLeft', 'src');
  await press('ArrowLeft', 'src');
  assert.equal(await page.getByRole('treeitem', { name: 'deep' }).count(), 0);
  await press('End', 'raw');
  await press('R', 'README.md');
  await press('Enter', 'README.md');
  await page.waitForURL(at('/README.md'));
  await page.locator('.file-document').getByRole('heading', { name: 'Read me' }).waitFor();
  await view.close();
});

test('files and folders are made, renamed, copied, moved, deleted and put back', async () => {
  const id = await server.newWorkspace('Changes');
  await write(server, id, 'target/keep.txt', 'x');
  const { view, page, list } = await open('', id);
  await page.getByRole('button', { name: 'New file' }).click();
  await page.getByLabel('Name of the new file').fill('notes.md');
  await page.keyboard.press('Enter');
  await link(list, 'notes.md').waitFor();
  await page.getByRole('button', { name: 'New folder' }).click();
  await page.getByLabel('Name of the new folder').fill('one/two');
  await page.keyboard.press('Enter');
  await link(list, 'one').waitFor();

  await act(page, 'notes.md', 'Rename');
  await page.getByLabel('New name').fill('plan.md');
  await page.keyboard.press('Enter');
  await link(list, 'plan.md').waitFor();

  await act(page, 'plan.md', 'Copy…');
  const dialog = page.getByRole('dialog');
  assert.equal(await dialog.getByLabel('Name').inputValue(), 'plan copy.md');
  await dialog.getByRole('button', { name: 'Copy' }).click();
  await link(list, 'plan copy.md').waitFor();

  await act(page, 'plan.md', 'Move…');
  await page.locator('#known-folders option[value=target]').waitFor({ state: 'attached' });
  await dialog.getByLabel('Folder').fill('target/new');
  await dialog.getByRole('button', { name: 'Move' }).click();
  await link(list, 'plan.md').waitFor({ state: 'detached' });
  assert.deepEqual(await names(server, id, 'target/new'), ['target/new/plan.md']);

  // What is there is not replaced, and the reason is shown.
  await act(page, 'plan copy.md', 'Rename');
  await page.getByLabel('New name').fill('one');
  await page.keyboard.press('Enter');
  await page.locator('.inline-problem').waitFor();
  assert.ok((await names(server, id)).includes('plan copy.md'));

  await act(page, 'target', 'Delete');
  await link(list, 'target').waitFor({ state: 'detached' });
  await toast(page, 'Deleted target').getByRole('button', { name: 'Undo' }).click();
  await link(list, 'target').waitFor();
  assert.deepEqual(await names(server, id, 'target/new'), ['target/new/plan.md']);
  await view.close();
});

test('the trash gives back and is emptied after one question', async () => {
  const id = await server.newWorkspace('Trash');
  for (const name of ['a.txt', 'b.txt']) await write(server, id, name, name);
  const { view, page, list } = await open('', id);
  for (const name of ['a.txt', 'b.txt']) {
    await act(page, name, 'Delete');
    await link(list, name).waitFor({ state: 'detached' });
  }
  await page.getByRole('heading', { name: 'No files yet' }).waitFor();
  await page.getByRole('link', { name: 'Trash' }).click();
  await page.getByRole('button', { name: 'Restore a.txt' }).click();
  await page.getByRole('button', { name: 'Restore a.txt' }).waitFor({ state: 'detached' });
  assert.deepEqual(await names(server, id), ['a.txt']);
  await page.getByRole('button', { name: 'Empty the trash' }).click();
  await page.getByRole('button', { name: 'Really?' }).click();
  await page.getByRole('heading', { name: 'The trash is empty' }).waitFor();
  await view.close();
});

test('a download has the bytes of its file, and a folder comes as a zip', async () => {
  const { view, page } = await open('/src/main.rs');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'main.rs');
  assert.equal(readFileSync(await download.path(), 'utf8'), mainRs);
  await page.goto(at('/src'));
  await view.alive();
  const [zip] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download as zip' }).click(),
  ]);
  assert.equal(zip.suggestedFilename(), 'src.zip');
  const listed = execFileSync('python3', ['-m', 'zipfile', '-l', await zip.path()]).toString();
  assert.match(listed, /main\.rs/);
  await view.close();
});

test('everything can be read without scripts', async () => {
  const view = await openPage(browser, server, { javaScriptEnabled: false });
  await view.page.goto(at());
  await view.page.locator('.listing').getByRole('link', { name: 'src' }).click();
  await view.page.locator('.listing').getByRole('link', { name: 'main.rs' }).click();
  assert.match(await view.page.locator('.lines').innerText(), /Hello <b>\{\}<\/b>/);
  await view.page.goto(at('/nothing-here'));
  await view.page.getByRole('heading', { name: 'Not found' }).waitFor();
  view.forgive(/status of 404/);
  await view.close();
});

test('what somebody else does is seen at once, in the list and in the tree', async () => {
  const id = await server.newWorkspace('Shared');
  await write(server, id, 'src/main.rs', mainRs);
  const { view, page, list } = await open('/src', id);
  await link(list, 'main.rs').waitFor();
  await write(server, id, 'src/lib.rs', '');
  await link(list, 'lib.rs').waitFor();
  await page.getByRole('treeitem', { name: 'lib.rs' }).waitFor();
  // In a directory that is only open in the tree, too.
  await write(server, id, 'README.md', '');
  await page.getByRole('treeitem', { name: 'README.md' }).waitFor();
  await server.rpc('FileService/DeleteFile', { workspaceId: id, path: 'src/main.rs' });
  await link(list, 'main.rs').waitFor({ state: 'detached' });
  // A name that is being typed is not taken away, and what came meanwhile comes afterwards.
  await page.getByRole('button', { name: 'New file' }).click();
  await page.getByLabel('Name of the new file').fill('mine.rs');
  await write(server, id, 'src/theirs.rs', '');
  await page.keyboard.press('Enter');
  await link(list, 'mine.rs').waitFor();
  await link(list, 'theirs.rs').waitFor();
  await view.close();
});

test('a tool call leads to its file', async () => {
  const id = await server.newWorkspace('Agents', { permissionMode: 'PERMISSION_MODE_BYPASS_PERMISSIONS' });
  const session = await server.newSession(id);
  await server.send(session, '!write notes.md # Notes\\n', '!read notes.md', '!glob **/*');
  await server.turnEnds(session);
  const view = await openPage(browser, server);
  await view.open(`${server.url}/workspaces/${id}/sessions/${session}`);
  for (const tool of ['Write', 'Read', 'Glob']) {
    const card = view.page.locator('details.tool').filter({ hasText: tool }).first();
    await card.locator('summary').click();
    const file = card.locator('a.file-link').filter({ hasText: 'notes.md' }).last();
    assert.match(await file.getAttribute('href'), new RegExp(`/workspaces/${id}/files/notes\\.md`));
  }
  await view.page.locator('a.file-link').first().click();
  await view.page.locator('.file-document').getByRole('heading', { name: 'Notes' }).waitFor();
  await view.close();
});
