// Uploads: files, folders and archives; chosen and dropped; replaced, resumed, given up.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser } from './browser.mjs';
import { Server, endAll, eventually } from './server.mjs';
import { drop, link, names, openFiles, write } from './tree.mjs';

let browser;
let server;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
});

after(() => endAll(browser, server));

const at = (path, id) => `${server.url}/workspaces/${id}/files${path}`;
const open = (path, id) => openFiles(browser, server, id, path);

test('files and a folder are uploaded as they are', async () => {
  const id = await server.newWorkspace('Uploads');
  const from = mkdtempSync(join(tmpdir(), 'membrane-upload-'));
  const big = randomBytes(5_500_000);
  writeFileSync(join(from, 'big.bin'), big);
  writeFileSync(join(from, 'empty.txt'), '');
  mkdirSync(join(from, 'folder/inner'), { recursive: true });
  for (const name of ['folder/a.txt', 'folder/inner/b.txt']) writeFileSync(join(from, name), name);
  const { view, page, list } = await open('', id);
  await page.locator('summary[title=Upload]').click();
  await page.getByLabel('Files…').setInputFiles([join(from, 'big.bin'), join(from, 'empty.txt')]);
  await link(list, 'big.bin').waitFor();
  await link(list, 'empty.txt').waitFor();
  await page.locator('summary[title=Upload]').click();
  await page.getByLabel('Folder…').setInputFiles(join(from, 'folder'));
  await link(list, 'folder').click();
  await link(list, 'inner').waitFor();
  assert.deepEqual(await names(server, id, 'folder/inner'), ['folder/inner/b.txt']);
  const bytes = await view.context.request.get(at('/raw?path=big.bin', id));
  assert.ok(big.equals(await bytes.body()));
  await view.close();
});

test('a folder is dropped with everything in it', async () => {
  const id = await server.newWorkspace('Dropped');
  const folder = join(mkdtempSync(join(tmpdir(), 'membrane-drop-')), 'dropped');
  mkdirSync(join(folder, 'inner'), { recursive: true });
  const expected = Array.from({ length: 120 }, (_, at) => `dropped/inner/${String(at).padStart(3, '0')}`);
  for (const path of expected) writeFileSync(join(folder, '..', path), path);
  const { view, page } = await open('', id);
  await drop(view, folder);
  await page.locator('.toast').filter({ hasText: 'Uploaded 120 files' }).waitFor();
  assert.deepEqual(await names(server, id, 'dropped/inner'), expected);
  await view.close();
});

test('an upload that would replace something asks first', async () => {
  const id = await server.newWorkspace('Replacing');
  await write(server, id, 'a.txt', 'old');
  const { view, page } = await open('', id);
  const again = { name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('new') };
  await page.locator('summary[title=Upload]').click();
  await page.getByLabel('Files…').setInputFiles([again]);
  await page.locator('.upload').getByText('Something of this name is there').waitFor();
  const content = async () => (await view.context.request.get(at('/raw?path=a.txt', id))).text();
  assert.equal(await content(), 'old');
  await page.getByRole('button', { name: 'Replace' }).click();
  await page.locator('.toast').filter({ hasText: 'Uploaded 1 file' }).waitFor();
  assert.equal(await content(), 'new');
  await view.close();
});

function scratch(name, bytes) {
  const path = join(mkdtempSync(join(tmpdir(), 'membrane-upload-')), name);
  writeFileSync(path, bytes);
  return path;
}

test('an upload shows how far it is, goes on after the connection was lost, and can be given up', async () => {
  const id = await server.newWorkspace('Slow');
  const { view, page, list } = await open('', id);
  const bytes = randomBytes(3_500_000);
  let pieces = 0;
  let broken = false;
  await page.route('**/membrane.v1.FileService/WriteUpload', async (route) => {
    pieces += 1;
    if (pieces === 2) {
      broken = true;
      return route.abort('connectionfailed');
    }
    return route.continue();
  });
  await drop(view, scratch('lost.bin', bytes));
  await link(list, 'lost.bin').waitFor();
  assert.ok(broken);
  view.forgive(/ERR_CONNECTION_FAILED/);
  const there = await view.context.request.get(at('/raw?path=lost.bin', id));
  assert.ok(bytes.equals(await there.body()));

  await page.unroute('**/membrane.v1.FileService/WriteUpload');
  const held = [];
  await page.route('**/membrane.v1.FileService/WriteUpload', (route) => {
    held.push(route);
    return held.length > 1 ? undefined : route.continue();
  });
  await drop(view, scratch('given-up.bin', bytes));
  const progress = page.locator('.upload progress');
  await eventually('one piece has arrived', async () => (await progress.getAttribute('value')) > 0);
  await page.locator('.upload').getByRole('button', { name: 'Cancel' }).click();
  await page.locator('.upload').waitFor({ state: 'detached' });
  for (const route of held.slice(1)) await route.continue();
  assert.ok(!(await names(server, id)).includes('given-up.bin'));
  await view.close();
});

test('a dropped zip is unpacked or kept, as one says', async () => {
  const id = await server.newWorkspace('Zips');
  const from = mkdtempSync(join(tmpdir(), 'membrane-zip-'));
  writeFileSync(join(from, 'inside.txt'), 'from a zip');
  const packed = join(from, 'some.zip');
  execFileSync('python3', ['-m', 'zipfile', '-c', packed, join(from, 'inside.txt')]);
  const { view, page, list } = await open('', id);
  await drop(view, packed);
  await page.getByRole('button', { name: 'Unpack here' }).click();
  await link(list, 'inside.txt').waitFor();
  await drop(view, packed);
  await page.getByRole('button', { name: 'Keep as a file' }).click();
  await link(list, 'some.zip').waitFor();
  await drop(view, scratch('bad.zip', 'this is no archive'));
  await page.getByRole('button', { name: 'Unpack here' }).click();
  await page.locator('.upload-state.bad').waitFor();
  await view.close();
});
