// What goes with a message: files that are named in it, and files beside it.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { look, looks } from './look.mjs';
import { Server, endAll, eventually } from './server.mjs';
import { SessionView } from './session_view.mjs';
import { drop, filledFiles, hostile, names } from './tree.mjs';

// A chequered square of 64 by 48.
const CHEQUERS = 'iVBORw0KGgoAAAANSUhEUgAAAEAAAAAwCAIAAAAuKetIAAAAXklEQVR42u3XMQ0AIAwEQIygCAs4wBiykIKBMnWBcEnHH3rT5'
  + '8uaLbw6eni35QsAAAAAQArwyqOnPAAAAABADqCJAQAAAOwBTQwAAABgD2hiAAAAAHtAEwMAAAB8B9heQkrxi1vUxQAAAABJRU5ErkJggg==';
const picture = { name: 'screen shot.png', mimeType: 'image/png', buffer: Buffer.from(CHEQUERS, 'base64') };

let browser;
let server;
let workspace;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  workspace = await filledFiles(server);
});

after(() => endAll(browser, server));

async function open(options = {}, id = workspace) {
  const session = await server.newSession(id);
  const view = await openPage(browser, server, options);
  await view.open(`${server.url}/workspaces/${id}/sessions/${session}`);
  const { page } = view;
  return { view, page, session: new SessionView(view), text: page.getByLabel('Message to the agent') };
}

async function said(session) {
  const events = await server.events(session.id());
  return events.map((event) => event.payload.userMessage).filter(Boolean);
}

const chip = (page, name) => page.locator('.chip').filter({ hasText: name });
const attach = (page, ...files) => page.getByLabel('Files to attach').setInputFiles(files);

test('a file is found and named with the keyboard alone', async () => {
  const { view, page, session, text } = await open();
  await text.focus();
  await page.keyboard.type('!say look at @mrs');
  const options = page.getByRole('option');
  await options.filter({ hasText: 'main.rs' }).waitFor();
  assert.equal(await text.getAttribute('aria-activedescendant'), 'mention-0');
  await page.keyboard.press('Enter');
  assert.equal(await text.inputValue(), '!say look at @src/main.rs ');
  assert.equal(await options.count(), 0);
  await page.keyboard.type('and @e');
  await options.nth(1).waitFor();
  await page.keyboard.press('ArrowDown');
  assert.equal(await text.getAttribute('aria-activedescendant'), 'mention-1');
  assert.equal(await options.nth(1).getAttribute('aria-selected'), 'true');
  await page.keyboard.press('Escape');
  assert.equal(await options.count(), 0);
  await page.keyboard.press('Enter');
  await session.turnHasEnded('Done');
  const [message] = await said(session);
  assert.equal(message.text, '!say look at @src/main.rs and @e');
  await view.close();
});

test('a file is named with a pointer, in the middle of a text', async () => {
  const { view, page, text } = await open();
  await text.fill('before  after');
  for (let at = 0; at < 6; at += 1) await page.keyboard.press('ArrowLeft');
  await page.keyboard.type('@readme');
  await page.getByRole('option').filter({ hasText: 'README.md' }).click();
  await page.keyboard.type('x');
  assert.equal(await text.inputValue(), 'before @README.md x after');
  await view.close();
});

test('names that nobody would choose are only ever text', async () => {
  const { view, page, text } = await open();
  for (const [query, mention] of [
    ['onerror', '@"hostile/<img src=x onerror=alert(1)>.txt" '],
    ['rightto', '@"hostile/right\\u{202e}to\\u{202c}left.txt" '],
    ['linebreak', '@"hostile/line\\nbreak.txt" '],
    ['quoted', '@"hostile/100%25 & \\"quoted\\" #?.txt" '],
  ]) {
    await text.fill(`@${query}`);
    const option = page.getByRole('option').first();
    await option.waitFor();
    assert.equal(await option.locator('img').count(), 0);
    await page.keyboard.press('Enter');
    assert.equal(await text.inputValue(), mention);
  }
  await text.fill(`@${'a'.repeat(40)}`);
  await page.getByRole('option').first().waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.equal(wide, 0);
  await view.close();
});

test('files go with a message: chosen, dropped and pasted', async () => {
  const id = await server.newWorkspace('Attachments');
  const { view, page, session } = await open({}, id);
  await attach(page, picture);
  await page.locator('.chip-picture').waitFor();
  await attach(page, picture);
  const notes = join(mkdtempSync(join(tmpdir(), 'membrane-attach-')), 'notes.txt');
  writeFileSync(notes, 'notes');
  await drop(view, notes);
  await page.evaluate((base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([bytes], 'image.png', { type: 'image/png' }));
    const options = { clipboardData, bubbles: true, cancelable: true };
    document.querySelector('#message').dispatchEvent(new ClipboardEvent('paste', options));
  }, CHEQUERS);
  await eventually('four files are there', async () => (await page.locator('.chip progress').count()) === 0
    && (await page.locator('.chip').count()) === 4);
  await session.say('!say I see them.');
  await session.turnHasEnded('Done');
  assert.equal(await page.locator('.chip').count(), 0);

  const [{ attachments }] = await said(session);
  assert.equal(attachments.length, 4);
  assert.deepEqual((await names(server, id, 'attachments')).sort(), attachments.map(({ path }) => path).sort());
  assert.equal(attachments[0].path, 'attachments/screen shot.png');
  assert.match(attachments[1].path, /^attachments\/screen shot-[0-9a-f]{6}\.png$/);
  assert.deepEqual(attachments.map(({ image }) => image?.mediaType), ['image/png', 'image/png', undefined, 'image/png']);

  const shown = page.locator('.user-card .attachment');
  assert.equal(await shown.count(), 4);
  const width = () => shown.first().locator('img').evaluate((image) => image.naturalWidth);
  await eventually('the picture is seen', async () => (await width()) === 64);
  await shown.nth(2).click();
  await page.waitForURL(/files\/attachments\/notes\.txt$/);
  await page.locator('.lines').getByText('notes').waitFor();
  await view.close();
});

test('what is taken away goes to the trash, and a session begins with a file', async () => {
  const id = await server.newWorkspace('Beginnings');
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${id}`);
  await attach(page, picture, { ...picture, name: 'other.png' });
  await eventually('both are there', async () => (await page.locator('.chip-picture').count()) === 2);
  await page.getByRole('button', { name: 'Remove other.png' }).click();
  await eventually('one is left', async () => (await names(server, id, 'attachments')).length === 1);
  await page.getByLabel('What should the agent do?').fill('!say Thank you.');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/sessions\/[0-9a-f-]{36}$/);
  await page.locator('.user-card .attachment').getByText('screen shot.png').waitFor();
  await view.close();
});

test('what fails is told at the file, and nothing that was typed is lost', async () => {
  const { view, page, session, text } = await open();
  await text.fill('!say Here.');
  await attach(page, { ...picture, name: 'huge.png', buffer: randomBytes(3_750_001) });
  await chip(page, 'huge.png').getByText('at most 3.75 MB').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Send' }).isDisabled());
  await page.getByRole('button', { name: 'Remove huge.png' }).click();

  // The browser says itself that an answer was an error.
  await page.route('**/membrane.v1.FileService/CreateUpload', (route) => route.fulfill({
    status: 200,
    headers: { 'content-type': 'application/grpc-web+proto', 'grpc-status': '8', 'grpc-message': 'The workspace is full.' },
  }));
  await attach(page, { ...picture, name: 'refused.png' });
  await chip(page, 'refused.png').getByText('The workspace is full.').waitFor();
  await page.unroute('**/membrane.v1.FileService/CreateUpload');
  await page.getByRole('button', { name: 'Try again' }).click();
  await chip(page, 'refused.png').locator('img').waitFor();

  await attach(page, ...Array.from({ length: 11 }, (_, at) => ({ ...picture, name: `${at}.png` })));
  await page.getByText('At most 10 files go with a message: 2 files were not taken.').waitFor();
  await eventually('all are there', async () => (await page.locator('.chip-picture').count()) === 10);

  await page.route('**/membrane.v1.SessionService/SendMessage', (route) => route.abort('connectionfailed'));
  await page.keyboard.press('Escape');
  await text.press('Enter');
  await page.getByText('could not be reached').waitFor();
  view.forgive(/ERR_CONNECTION_FAILED/);
  assert.equal(await text.inputValue(), '!say Here.');
  assert.equal(await page.locator('.chip').count(), 10);
  await page.unroute('**/membrane.v1.SessionService/SendMessage');
  await text.press('Enter');
  await session.turnHasEnded('Done');
  assert.equal((await said(session))[0].attachments.length, 10);
  await view.close();
});

for (const { name, ...options } of looks) {
  test(`what goes with a message is sound on a ${name}`, async () => {
    const { view, page, session, text } = await open(options);
    await attach(page, picture, { ...picture, name: `${'long '.repeat(20)}.txt`, mimeType: 'text/plain' });
    await page.locator('.chip-picture').waitFor();
    await text.fill(`!say ${hostile.length}`);
    await text.press('Enter');
    await session.turnHasEnded('Done');
    await attach(page, picture, { ...picture, name: 'huge.png', buffer: randomBytes(3_750_001) });
    await page.locator('.chip-picture').waitFor();
    await text.focus();
    await page.keyboard.type('look at @t');
    await page.getByRole('option').first().waitFor();
    const problems = await look(page, `composer-${name}`);
    await view.close();
    assert.deepEqual(problems, []);
  });
}
