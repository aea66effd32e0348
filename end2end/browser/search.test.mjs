// The search of a workspace's files.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { look, looks } from './look.mjs';
import { Server, endAll, eventually } from './server.mjs';
import { filledFiles, hostile, write } from './tree.mjs';

let browser;
let server;
let workspace;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  workspace = await filledFiles(server);
  await write(server, workspace, 'words.txt', 'Colour\n\tthe colours of a COLOUR chart\n<b>colour</b>\n');
  await write(server, workspace, '.gitignore', 'built/\n');
  await write(server, workspace, 'built/made.txt', 'colour\n');
});

after(() => endAll(browser, server));

const at = (rest = '', id = workspace) => `${server.url}/workspaces/${id}/search${rest}`;

async function open(rest = '', options = {}, id = workspace) {
  const view = await openPage(browser, server, options);
  await view.open(at(rest, id));
  const { page } = view;
  return {
    view, page, text: page.getByRole('searchbox', { name: 'Search in files' }), hits: page.locator('.hit'),
  };
}

/** Waits until so many lines are found, and answers them. */
async function found(page, count) {
  await eventually(`${count} lines are found`, async () => (await page.locator('.hit').count()) === count);
  return page.locator('.hit-text').allInnerTexts();
}

test('from any page a slash leads to the search, and a hit to its line, with the keyboard alone', async () => {
  const { view, page, text } = await open();
  await page.goto(`${server.url}/workspaces/${workspace}/changes`);
  await view.alive();
  await page.keyboard.press('/');
  await page.waitForURL(at());
  await page.waitForFunction(() => document.activeElement?.id === 'search');
  await page.keyboard.type('println');
  await found(page, 1);
  assert.equal(page.url(), at('?q=println'));
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForURL(/files\/src\/main\.rs#L7$/);
  await page.locator('.line.marked').getByText('println').waitFor();
  await page.goBack();
  await found(page, 1);
  assert.equal(await text.inputValue(), 'println');
  await view.close();
});

test('what is asked stands in the address, and back and forward go through it', async () => {
  const { view, page, text } = await open('?q=colour');
  assert.deepEqual(await found(page, 3), ['Colour', 'the colours of a COLOUR chart', '<b>colour</b>']);
  assert.equal(await page.locator('.hit-text mark').count(), 4);
  await page.getByLabel('Match case').check();
  await page.waitForURL(at('?q=colour&case=1'));
  await found(page, 2);
  await page.getByLabel('Whole words').check();
  await found(page, 1);
  await page.getByLabel('Ignored files, too').check();
  await found(page, 2);
  await page.getByLabel('Only in').fill('*.md');
  await page.getByRole('heading', { name: 'Nothing found' }).waitFor();
  assert.equal(page.url(), at('?q=colour&case=1&words=1&in=%2A.md&ignored=1'));
  await page.goBack();
  await found(page, 1);
  assert.equal(await page.getByLabel('Ignored files, too').isChecked(), false);
  await page.goBack();
  await page.goBack();
  await found(page, 3);
  assert.equal(await page.getByLabel('Match case').isChecked(), false);
  await page.goForward();
  await found(page, 2);
  await text.fill('100%25');
  await page.getByRole('heading', { name: 'Nothing found' }).waitFor();
  await page.reload();
  await view.alive();
  assert.equal(await text.inputValue(), '100%25');
  await view.close();
});

test('a regular expression that is none is told, and a better one finds', async () => {
  const { view, page, text, hits } = await open('?regex=1');
  await text.fill('colou(');
  await page.locator('.inline-problem').waitFor();
  assert.equal(await hits.count(), 0);
  await text.fill('^colou?r$');
  await found(page, 1);
  assert.equal(await page.locator('.inline-problem').count(), 0);
  await view.close();
});

test('names that nobody would choose are only text, and lead to their lines', async () => {
  const { view, page, hits } = await open('?q=harmless');
  await found(page, hostile.length);
  assert.equal(await page.locator('.hit-head img').count(), 0);
  for (const name of ['line[LF]break.txt', '100%25 & "quoted" #?.txt', 'back\\\\slash.txt', 'raw\\xff\\xfe.bin']) {
    const file = page.locator('.hit-file').filter({ hasText: name });
    await file.locator('.hit').click();
    await page.locator('.line.marked').getByText('harmless').waitFor();
    await page.goBack();
    await hits.first().waitFor();
  }
  await view.close();
});

test('very many hits are bounded, and what is asked next stops what runs', async () => {
  const id = await server.newWorkspace('Many');
  const files = join(server.data, 'workspaces', id, 'files');
  mkdirSync(files, { recursive: true });
  for (let file = 0; file < 40; file += 1) {
    const lines = Array.from({ length: 100 }, (_, line) => `needle ${file} of ${line}`);
    writeFileSync(join(files, `many-${file}.txt`), lines.join('\n'));
  }
  const { view, page, text } = await open('?q=needle', {}, id);
  await found(page, 1000);
  await page.getByText('Stopped after 1000 matches').waitFor();
  const broken = new Promise((done) => {
    page.on('requestfailed', (request) => request.url().endsWith('SearchFiles') && done());
  });
  let held = 0;
  await page.route('**/membrane.v1.FileService/SearchFiles', async (route) => {
    held += 1;
    if (held > 1) await route.continue();
  });
  await text.fill('needle 1');
  await eventually('a search hangs', () => held === 1);
  await text.fill('needle 17 of 42');
  await broken;
  await found(page, 1);
  await view.close();
});

test('the first hits are there without scripts, by a form alone', async () => {
  const view = await openPage(browser, server, { javaScriptEnabled: false });
  const { page } = view;
  await page.goto(at());
  await page.getByRole('heading', { name: 'Search the text of every file' }).waitFor();
  await page.getByRole('searchbox').fill('a COLOUR');
  await page.getByLabel('Match case').check();
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  assert.match(page.url(), /q=a\+COLOUR/);
  assert.deepEqual(await found(page, 1), ['the colours of a COLOUR chart']);
  await page.locator('.hit').click();
  assert.match(page.url(), /files\/words\.txt#L2$/);
  await view.close();
});

for (const { name, ...options } of looks) {
  test(`the search is sound on a ${name}`, async () => {
    const problems = [];
    for (const [what, rest] of [['hits', '?q=e&in=*.rs%20hostile/**%20words.txt'], ['empty', ''], ['nothing', '?q=zebra&case=1']]) {
      const { view, page } = await open(rest, options);
      if (what === 'hits') await page.locator('.hit').first().waitFor();
      problems.push(...await look(page, `search-${what}-${name}`));
      await view.close();
    }
    assert.deepEqual(problems, []);
  });
}
