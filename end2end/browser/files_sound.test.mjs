// Names that nobody would choose, very many entries, and how it all looks.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser } from './browser.mjs';
import { look, looks } from './look.mjs';
import { Server, endAll, eventually } from './server.mjs';
import { filledFiles, hostile, link, openFiles } from './tree.mjs';

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

test('names do no harm, and each has a page of its own', async () => {
  const { view, page, list } = await open('/hostile');
  assert.equal(await list.locator('.entry-link').count(), hostile.length);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.equal(wide, 0);
  for (let row = 0; row < hostile.length; row += 1) {
    await list.locator('.entry-link').nth(row).click();
    await page.locator('.lines').getByText('harmless').waitFor();
    // The address is good for a page of its own, too.
    await page.reload();
    await view.alive();
    await page.locator('.lines').getByText('harmless').waitFor();
    await page.goto(at('/hostile'));
    await view.alive();
  }
  await page.goto(at());
  await view.alive();
  await link(list, 'raw').click();
  await page.reload();
  await view.alive();
  await page.locator('.lines').getByText('A file whose address is taken').waitFor();
  await view.close();
});

test('a directory with very many entries scrolls to its end', async () => {
  const id = await server.newWorkspace('Many');
  const many = join(server.data, 'workspaces', id, 'files/many');
  mkdirSync(many);
  for (let at = 0; at < 20_000; at += 1) writeFileSync(join(many, `f${String(at).padStart(6, '0')}`), '');
  const { view, page, list } = await open('/many', id);
  await link(list, 'f000000').waitFor();
  await eventually('the end is there', async () => {
    await list.evaluate((element) => element.scrollTo(0, element.scrollHeight));
    return link(list, 'f019999').isVisible();
  }, 60, 50);
  assert.ok((await page.locator('.entry-row').count()) < 120);
  assert.ok((await page.locator('.tree-row').count()) < 120);
  await view.close();
});

const looked = {
  top: '', hostile: '/hostile', text: '/src/main.rs#L7', image: '/logo.png', other: '/data.bin',
  document: '/src/deep/shown/guide.md', notebook: '/src/deep/shown/notes.ipynb',
  table: '/src/deep/shown/people.csv', pdf: '/src/deep/shown/paper.pdf',
};

for (const { name: on, ...options } of looks) {
  test(`the files are sound on a ${on}`, async () => {
    const problems = [];
    const { view, page } = await open('', workspace, options);
    for (const [name, path] of Object.entries(looked)) {
      await page.goto('about:blank');
      await view.open(at(path));
      if (name === 'top') await page.getByRole('button', { name: 'Actions for raw' }).click();
      problems.push(...await look(page, `files-${name}-${on}`));
    }
    await view.close();
    assert.deepEqual(problems, []);
  });
}
