// The command palette and the frame: everything within reach of the keyboard, and of a thumb.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { after, before, test } from 'node:test';

import { openBrowser, openPage, phone } from './browser.mjs';
import { look, looks } from './look.mjs';
import { Server, endAll, eventually } from './server.mjs';
import { filledFiles, names } from './tree.mjs';

let browser;
let server;
let workspace;
let session;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  workspace = await filledFiles(server, 'Kitchen');
  await server.newWorkspace('Garden <b>shed</b>');
  session = await server.newSession(workspace);
  await server.send(session, '!say A session about spoons.');
  await server.turnEnds(session);
});

after(() => endAll(browser, server));

async function open(path = `/workspaces/${workspace}`, options = {}) {
  const view = await openPage(browser, server, options);
  await view.open(server.url + path);
  const { page } = view;
  return { view, page, box: page.getByRole('combobox', { name: 'Go to or do' }), options: page.getByRole('option') };
}

/** Opens the palette, types, and waits until the first of what fits is this. */
async function ask(page, typed, first) {
  await page.keyboard.press('Control+k');
  const box = page.getByRole('combobox', { name: 'Go to or do' });
  await box.waitFor();
  await page.keyboard.type(typed);
  // The page may be slower than the keys.
  await eventually('all of it is there', async () => (await box.inputValue()) === typed);
  await page.locator('.palette-item[aria-selected=true]').filter({ hasText: first }).waitFor();
}

test('pages, sessions, files and workspaces are reached with the keyboard alone', async () => {
  const { view, page } = await open();
  for (const [typed, first, address] of [
    ['settings', 'Settings', /\/settings$/],
    ['spoons', 'A session about spoons', /\/sessions\/[0-9a-f-]{36}$/],
    ['mainrs', 'main.rs', /\/files\/src\/main\.rs$/],
    ['trash', 'Trash', /\/trash$/],
    ['garden', 'Garden', /\/workspaces\/[0-9a-f-]{36}$/],
    ['account', 'Account', /\/account$/],
    ['kitchen', 'Kitchen', new RegExp(`${workspace}$`)],
    ['newses', 'New session', /#begin-text$/],
  ]) {
    await ask(page, typed, first);
    await page.keyboard.press('Enter');
    await page.waitForURL(address);
  }
  await view.close();
});

test('arrows choose, Escape closes and stops nothing, and the focus comes back', async () => {
  const busy = await server.newSession(workspace);
  await server.send(busy, '!bash sleep 300');
  const { view, page, box, options } = await open(`/workspaces/${workspace}/sessions/${busy}`);
  const text = page.getByLabel('Message to the agent');
  await text.fill('half a thought');
  await page.keyboard.press('Control+k');
  // The workspaces come last; then the list grows no more.
  await options.filter({ hasText: 'Kitchen' }).waitFor();
  await page.keyboard.press('ArrowUp');
  const count = await options.count();
  assert.equal(await box.getAttribute('aria-activedescendant'), `palette-${count - 1}`);
  await page.keyboard.press('ArrowDown');
  assert.equal(await box.getAttribute('aria-activedescendant'), 'palette-0');
  for (let times = 0; times < 2; times += 1) {
    await page.keyboard.press('Escape');
    await box.waitFor({ state: 'hidden' });
    assert.ok(await text.evaluate((element) => element === document.activeElement));
    await page.keyboard.press('Control+k');
    await box.waitFor();
  }
  assert.equal((await server.events(busy)).filter((event) => event.payload.turnEnded).length, 0);
  await page.keyboard.type('stop');
  await page.keyboard.press('Enter');
  await page.locator('.toast').getByText('Stopping the agent').waitFor();
  await page.locator('.turn-line').getByText('Stopped').waitFor();
  assert.equal(await text.inputValue(), 'half a thought');
  await view.close();
});

test('what was used lately comes first, and is forgotten by signing out', async () => {
  const { view, page, options } = await open();
  await ask(page, 'dark', 'Theme: dark');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  assert.equal(await page.locator('.rail .segment[aria-label=Dark]').getAttribute('aria-pressed'), 'true');
  await page.keyboard.press('Control+k');
  await page.getByRole('group', { name: 'Recently used' }).waitFor();
  assert.match(await options.first().innerText(), /Theme: dark/);
  await page.keyboard.type('sign out');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/sign-in/);
  assert.equal(await page.evaluate(() => localStorage.getItem('membrane-recent')), null);
  await view.close();
});

test('it lists everything when it is closed and opened again at once', async () => {
  const { view, page, options } = await open();
  await page.evaluate(() => {
    for (let times = 0; times < 3; times += 1) {
      window.dispatchEvent(new KeyboardEvent('keydown', { key: 'k', ctrlKey: true, cancelable: true }));
    }
    // Closing is told as a task of its own, and this one comes after it.
    return new Promise((done) => setTimeout(() => requestAnimationFrame(done), 50));
  });
  await options.first().waitFor({ timeout: 5000 });
  await view.close();
});

test('files are uploaded, and the search in them begins here', async () => {
  const { view, page } = await open();
  // Asked for early: the browser needs a moment until it hands choosers over.
  const chooser = page.waitForEvent('filechooser');
  await ask(page, 'upload', 'Upload files');
  await page.keyboard.press('Enter');
  await (await chooser).setFiles({ name: 'fresh.txt', mimeType: 'text/plain', buffer: Buffer.from('fresh') });
  await eventually('the file is there', async () => (await names(server, workspace)).includes('fresh.txt'));
  await ask(page, 'no file is called so', 'Search in files for “no file is called so”');
  await page.keyboard.press('Enter');
  await page.waitForURL(/search\?q=no%20file%20is%20called%20so$/);
  await view.close();
});

test('names that nobody would choose are only text, and lead where they should', async () => {
  const { view, page } = await open();
  for (const [typed, shown] of [
    ['onerror', '<img src=x onerror=alert(1)>.txt'], ['linebreak', 'line[LF]break.txt'],
    ['10025', '100%25 & "quoted" #?.txt'], ['backslash', 'back\\\\slash.txt'],
  ]) {
    await ask(page, typed, shown);
    assert.equal(await page.locator('.palette img').count(), 0);
    await page.keyboard.press('Enter');
    await page.locator('.lines').getByText('harmless').waitFor();
  }
  await ask(page, 'shed', 'Garden <b>shed</b>');
  await view.close();
});

test('a question mark lists the keys', async () => {
  const { view, page } = await open();
  await page.keyboard.press('?');
  await page.getByRole('heading', { name: 'Keyboard shortcuts' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('heading', { name: 'Keyboard shortcuts' }).waitFor({ state: 'hidden' });
  await view.close();
});

test('on a phone everything is within reach of a thumb, also at 360 pixels', async () => {
  for (const width of [360, 390]) {
    const { view, page, box } = await open(undefined, { viewport: { ...phone, width } });
    const tabs = page.locator('.tabs .tab');
    for (const tab of await tabs.all()) {
      const { inside, room } = await tab.evaluate((element) => ({
        inside: [...element.children].every((child) => child.scrollWidth <= element.clientWidth - 8),
        room: element.clientWidth,
      }));
      assert.ok(inside && room >= 60, `${await tab.innerText()} at ${width}`);
    }
    await page.locator('.tabs').getByRole('button', { name: 'Go to' }).click();
    await box.fill('kitch');
    await page.getByRole('option').filter({ hasText: 'Kitchen' }).click();
    await box.waitFor({ state: 'hidden' });
    await page.locator('.tabs summary').click();
    await page.locator('.tabs').getByRole('link', { name: 'Settings' }).click();
    await page.waitForURL(/\/settings$/);
    await view.close();
  }
});

for (const { name, ...options } of looks) {
  test(`the palette is sound on a ${name}`, async () => {
    const problems = [];
    const { view, page } = await open(undefined, options);
    await page.keyboard.press('Control+k');
    await page.getByRole('option').filter({ hasText: 'Kitchen' }).waitFor();
    problems.push(...await look(page, `palette-${name}`));
    await page.keyboard.type('te');
    await page.getByRole('option').filter({ hasText: 'note.md' }).waitFor();
    problems.push(...await look(page, `palette-typed-${name}`));
    await page.keyboard.press('Escape');
    await page.getByRole('option').first().waitFor({ state: 'detached' });
    await page.keyboard.press('?');
    await page.getByRole('heading', { name: 'Keyboard shortcuts' }).waitFor();
    problems.push(...await look(page, `shortcuts-${name}`));
    await view.close();
    assert.deepEqual(problems, []);
  });
}
