// The editor of a file: saving, somebody who was faster, leaving, and what is not edited.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { rmSync, symlinkSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { Edited, EditorView } from './editor_view.mjs';
import { Server, endAll, eventually } from './server.mjs';
import { hostile, mainRs, write } from './tree.mjs';

let browser;
let server;
let files;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  files = new Edited(browser, server, await server.newWorkspace('Edited'));
});

after(() => endAll(browser, server));

test('a file is opened from its page, changed and saved, and is so when it is loaded again', async () => {
  files.put('src/main.rs', mainRs);
  const view = await openPage(browser, server);
  const { page } = view;
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await view.open(files.page('files', 'src/main.rs'));
  await page.locator('.line').first().waitFor();
  assert.deepEqual(asked.filter((path) => path.includes('editor')), [], 'asked for before it is used');
  await page.getByRole('link', { name: 'Edit', exact: true }).click();
  await page.waitForURL(files.page('edit', 'src/main.rs'));
  const editor = new EditorView(view);
  await editor.state('Saved');
  await editor.text.getByText('println!').waitFor();
  assert.ok(asked.some((path) => path.endsWith('/editor/editor.js')));

  await editor.type('// The end.');
  await editor.state('Unsaved changes');
  await page.keyboard.press('Control+s');
  await editor.state('Saved');
  assert.equal(files.text('src/main.rs'), `${mainRs}// The end.`);
  await page.reload();
  await view.alive();
  await editor.text.getByText('// The end.').waitFor();

  // Once more, with the etag that saving has given.
  await editor.type('\nfn more() {}');
  await editor.save();
  assert.equal(files.text('src/main.rs'), `${mainRs}// The end.\nfn more() {}`);
  await page.getByRole('link', { name: 'Close' }).click();
  await page.locator('.lines').getByText('fn more() {}').waitFor();
  await view.close();
});

test('the ends of lines stay as they are', async () => {
  const cases = {
    'crlf.txt': ['a\r\nb\r\n', 'x\r\ny', 'a\r\nb\r\nx\r\ny'],
    'open.txt': ['a\nb', 'x\ny', 'a\nbx\ny'],
    'mixed.txt': ['a\r\nb\nc\rd\n', 'x\ny', 'a\r\nb\nc\rd\nx\ny'],
    'mark.txt': ['\ufeffa\n', 'x', '\ufeffa\nx'],
    'empty.txt': ['', 'x', 'x'],
  };
  for (const [path, [before_, typed, expected]] of Object.entries(cases)) {
    const editor = await files.open(path, before_);
    await editor.type(typed.replace('\r', ''));
    await editor.page.keyboard.press('Control+s');
    await eventually(`${path} is saved`, () => files.text(path) !== before_, 10);
    assert.equal(files.text(path), expected, path);
    await editor.state('Saved');
    await editor.view.close();
  }
});

test('changes are reverted, and what was undone by hand is no change', async () => {
  const editor = await files.open('revert.md', '# One\n');
  await editor.type('two');
  await editor.state('Unsaved changes');
  await editor.press('Revert');
  await editor.state('Saved');
  assert.equal((await editor.text.innerText()).trim(), '# One');
  await editor.type('x');
  await editor.state('Unsaved changes');
  await editor.page.keyboard.press('Backspace');
  await editor.state('Saved');
  await editor.view.close();
});

test('of two texts mine can be kept', async () => {
  const editor = await files.conflict('keep.txt');
  assert.match(await editor.theirs.innerText(), /TWO/);
  assert.match(await editor.mine.innerText(), /two\s+three\s+mine/);
  await editor.press('Keep mine');
  await editor.state('Saved');
  assert.equal(files.text('keep.txt'), 'one\ntwo\nthree\nmine\n');
  await editor.type('again\n');
  await editor.save();
  assert.equal(files.text('keep.txt'), 'one\ntwo\nthree\nmine\nagain\n');
  await editor.view.close();
});

test('of two texts theirs can be taken, and mine comes back by undoing', async () => {
  const editor = await files.conflict('take.txt');
  await editor.press('Take theirs');
  await editor.state('Saved');
  await editor.text.getByText('TWO').waitFor();
  assert.equal(files.text('take.txt'), 'one\nTWO\nthree\n');
  await editor.text.click();
  await editor.page.keyboard.press('Control+z');
  await editor.text.getByText('mine').waitFor();
  await editor.state('Unsaved changes');
  await editor.save();
  assert.equal(files.text('take.txt'), 'one\ntwo\nthree\nmine\n');
  await editor.view.close();
});

test('two texts can be merged, and whoever is faster again is not overwritten either', async () => {
  const editor = await files.conflict('merge.txt');
  const { page, mine } = editor;
  await page.getByRole('button', { name: 'Take this from theirs' }).first().click();
  await mine.getByText('TWO').waitFor();
  await mine.getByText('mine').click();
  await page.keyboard.press('End');
  await page.keyboard.type(' merged');
  await write(server, files.workspace, 'merge.txt', 'ONE\nTWO\nthree\n');
  await editor.press('Save merged');
  await editor.theirs.getByText('ONE').waitFor();
  assert.equal(files.text('merge.txt'), 'ONE\nTWO\nthree\n');
  assert.match(await mine.innerText(), /one\s+TWO\s+three\s+mine merged/);
  await editor.press('Save merged');
  await editor.state('Saved');
  assert.equal(files.text('merge.txt'), 'one\nTWO\nthree\nmine merged\n');
  await editor.text.getByText('mine merged').waitFor();
  await editor.view.close();
});

test('a file that was deleted meanwhile can be written anew', async () => {
  const editor = await files.open('gone.txt', 'one\n');
  await editor.type('two\n');
  rmSync(files.onDisk('gone.txt'));
  await editor.page.keyboard.press('Control+s');
  await editor.page.getByText('Somebody else deleted this file').waitFor();
  await editor.press('Keep mine');
  await editor.state('Saved');
  assert.equal(files.text('gone.txt'), 'one\ntwo\n');
  await editor.view.close();
});

test('somebody who leaves with unsaved changes is asked', async () => {
  files.put('leave.txt', 'one\n');
  const view = await openPage(browser, server);
  const { page } = view;
  const editor = await files.openFromItsPage('leave.txt', view);
  await editor.state('Saved');
  await editor.type('two');
  const asked = [];
  let answer = 'dismiss';
  page.on('dialog', (dialog) => {
    asked.push(dialog.type());
    return dialog[answer]();
  });
  await page.getByRole('link', { name: 'Close' }).click();
  await eventually('a link asks', () => asked.length === 1);
  await page.evaluate(() => history.back());
  await eventually('going back asks', () => asked.length === 2);
  await page.waitForURL(files.page('edit', 'leave.txt'));
  assert.match(await editor.text.innerText(), /two/);
  answer = 'accept';
  await page.reload();
  await view.alive();
  await eventually('loading asks', () => asked.length === 3);
  assert.deepEqual(asked, ['confirm', 'confirm', 'beforeunload']);
  await editor.state('Saved');
  await editor.type('three');
  await page.getByRole('link', { name: 'Close' }).click();
  await page.locator('.line').first().waitFor();
  assert.equal(asked.length, 4);
  assert.equal(files.text('leave.txt'), 'one\n');
  await view.close();
});

test('what is no text, too large or a link is not edited, and the reason is told', async () => {
  files.put('bad.bin', Buffer.from([0x61, 0xff]));
  files.put('zero.bin', Buffer.from([0x61, 0]));
  files.put('large.txt', 'x'.repeat((1 << 20) + 1));
  files.put('dir/x', '');
  symlinkSync('bad.bin', files.onDisk('link'));
  const view = await openPage(browser, server);
  const reasons = {
    'bad.bin': /not UTF-8/, 'zero.bin': /not UTF-8/, 'large.txt': /larger than 1 MiB/, link: /is a link/, dir: /not a file/,
  };
  for (const [path, reason] of Object.entries(reasons)) {
    await view.open(files.page('edit', path));
    await view.page.getByRole('heading', { name: "This can't be edited here" }).waitFor();
    assert.match(await view.page.locator('main').innerText(), reason);
    assert.equal(await view.page.locator('.editor').count(), 0);
  }
  await view.close();
});

test('a file of 1 MiB is edited', async () => {
  const long = '0123456789abcde\n'.repeat(65_536).slice(0, -1);
  const editor = await files.open('long.txt', long);
  await editor.type('!');
  await editor.page.keyboard.press('Control+s');
  await eventually('it is saved', () => files.text('long.txt') === `${long}!`, 20);
  await editor.view.close();
});

test('names that nobody would choose are edited, too', async () => {
  for (const name of hostile.filter((name) => /[%\n\\]/.test(name) && !name.startsWith('raw'))) {
    await write(server, files.workspace, `odd/${name}`, 'harmless\n');
    const view = await openPage(browser, server);
    const editor = await files.openFromItsPage(`odd/${encodeURIComponent(name)}`, view);
    await editor.text.getByText('harmless').waitFor();
    await editor.type('edited');
    await editor.save();
    await view.page.reload();
    await view.alive();
    await editor.text.getByText('edited').waitFor();
    await view.close();
  }
});

test('without scripts the text can be read', async () => {
  files.put('plain.txt', '\n<b>bold</b>\n');
  const view = await openPage(browser, server, { javaScriptEnabled: false });
  await view.page.goto(files.page('edit', 'plain.txt'));
  assert.equal(await view.page.locator('.editor-plain').textContent(), '\n<b>bold</b>\n');
  assert.equal(await view.page.getByRole('button', { name: 'Save' }).isVisible(), false);
  await view.close();
});
