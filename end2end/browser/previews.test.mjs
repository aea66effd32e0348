// What files are shown as, by what they are.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { Server, endAll, eventually } from './server.mjs';
import { filledFiles, mainRs, openFiles, write } from './tree.mjs';

let browser;
let server;
let workspace;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  workspace = await filledFiles(server);
  const lines = Array.from({ length: 12_000 }, (_, at) => `line ${at + 1}`);
  const long = (name, text) => writeFileSync(join(server.data, 'workspaces', workspace, 'files', name), text);
  long('long.log', lines.join('\n'));
  const rows = Array.from({ length: 700 }, (_, at) => `${at},x`);
  long('long.csv', `n,letter\n${rows.join('\n')}\n`);
});

after(() => endAll(browser, server));

const shown = '/src/deep/shown';
const at = (path = '') => `${server.url}/workspaces/${workspace}/files${path}`;
const open = (path = '', options = {}) => openFiles(browser, server, workspace, path, options);

test('code has colours, and lines have addresses', async () => {
  const { view, page } = await open('/src/main.rs');
  const keyword = page.locator('.tok-keyword').filter({ hasText: /^fn$/ });
  const colour = (locator) => locator.evaluate((element) => getComputedStyle(element).color);
  assert.notEqual(await colour(keyword), await colour(page.locator('.line code').first()));
  assert.equal(await page.locator('.lines').evaluate((element) => element.innerText.includes('Hello <b>{}</b>')), true);
  await page.locator('#L2 > a').click();
  await page.waitForURL(at('/src/main.rs#L2'));
  await page.locator('#L4 > a').click({ modifiers: ['Shift'] });
  await page.waitForURL(at('/src/main.rs#L2-4'));
  await eventually('three lines are marked', async () => (await page.locator('.line.marked').count()) === 3, 5);
  // The address is good for a page of its own.
  await page.reload();
  await view.alive();
  await eventually('three lines are marked', async () => (await page.locator('.line.marked').count()) === 3, 5);
  await view.close();
});

test('a document is rendered, and its source has an address', async () => {
  const { view, page } = await open(`${shown}/guide.md`);
  const text = page.locator('.file-document');
  await text.getByRole('heading', { name: 'A guide' }).waitFor();
  const image = text.locator('img');
  await eventually('the picture is there', () => image.evaluate(({ naturalWidth }) => naturalWidth === 10), 5);
  await page.getByRole('link', { name: 'Source' }).click();
  await page.waitForURL(at(`${shown}/guide.md?view=source`));
  await page.locator('.lines').getByText('# A guide').waitFor();
  await page.locator('#L3 > a').click();
  await page.waitForURL(at(`${shown}/guide.md?view=source#L3`));
  await page.reload();
  await view.alive();
  await page.locator('#L3.marked').waitFor();
  await page.getByRole('link', { name: 'Preview' }).click();
  await text.getByRole('link', { name: 'a file' }).click();
  await page.waitForURL(at('/src/main.rs'));
  await page.locator('.tok-keyword').first().waitFor();
  // A document that is come to without loading the page is rendered, too.
  await page.goBack();
  await text.getByRole('heading', { name: 'A guide' }).waitFor();
  await view.close();
});

test('a notebook shows what was said, run and put out', async () => {
  const { view, page } = await open(`${shown}/notes.ipynb`);
  const notebook = page.locator('.notebook');
  await notebook.getByRole('heading', { name: 'Findings' }).waitFor();
  assert.equal(await notebook.locator('.tok-comment').innerText(), '# A sum');
  await notebook.getByText('45').waitFor();
  await notebook.getByText('ValueError: no').waitFor();
  await notebook.getByText('text/html is not shown').waitFor();
  assert.equal(await notebook.locator('.cell-output img').evaluate(({ naturalWidth }) => naturalWidth), 10);
  await view.close();
});

test('a table has its cells', async () => {
  const { view, page } = await open(`${shown}/people.csv`);
  await page.getByRole('cell', { name: 'Lovelace, Ada' }).waitFor();
  assert.equal(await page.locator('.sheet th').count(), 3);
  await view.close();
});

test('what is long is read on, by a button and by an address', async () => {
  const { view, page } = await open('/long.log');
  const lines = page.locator('.line');
  assert.equal(await lines.count(), 5_000);
  await page.getByRole('button', { name: 'Load more' }).click();
  await eventually('there are more', async () => (await lines.count()) === 10_000, 10);
  await page.getByRole('button', { name: 'Load more' }).click();
  await page.getByRole('button', { name: 'Load more' }).waitFor({ state: 'detached' });
  assert.equal(await page.locator('#L12000 code').innerText(), 'line 12000');
  await page.goto('about:blank');
  await view.open(at('/long.log#L11500'));
  await page.locator('#L11500.marked').waitFor();
  await page.goto(at('/long.csv'));
  await view.alive();
  await page.getByRole('button', { name: 'Load more' }).click();
  await page.getByRole('cell', { name: '699', exact: true }).last().waitFor();
  await view.close();
});

test('pictures have their size, and other bytes are shown as such', async () => {
  const { view, page } = await open('/logo.png');
  await page.locator('.file-facts').getByText('10 × 10 pixels').waitFor();
  await page.goto(at('/data.bin'));
  await view.alive();
  await page.locator('.hex').getByText('00 01 02').waitFor();
  await page.goto(at(`${shown}/paper.pdf`));
  await view.alive();
  await page.getByRole('link', { name: 'Open in a new tab' }).waitFor();
  await view.close();
});

test('all of it can be read without scripts', async () => {
  const { view, page } = await openQuiet('/src/main.rs');
  assert.ok((await page.locator('.tok-keyword').count()) > 0);
  await page.goto(at(`${shown}/guide.md`));
  await page.getByRole('heading', { name: 'A guide' }).waitFor();
  await page.getByRole('link', { name: 'Source' }).click();
  await page.locator('.lines').getByText('# A guide').waitFor();
  await page.goto(at(`${shown}/notes.ipynb`));
  await page.getByRole('heading', { name: 'Findings' }).waitFor();
  await view.close();
});

async function openQuiet(path) {
  const view = await openPage(browser, server, { javaScriptEnabled: false });
  await view.page.goto(at(path));
  return { view, page: view.page };
}

test('a name with an ending of its own is still what it holds', async () => {
  await write(server, workspace, 'not.png', mainRs);
  const { view, page } = await open('/not.png');
  await page.locator('.lines').getByText('fn main()').waitFor();
  await view.close();
});
