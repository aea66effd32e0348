// How the editor and a conflict look, and that no other page fetches them.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { desktop, openBrowser, openPage, phone } from './browser.mjs';
import { Edited } from './editor_view.mjs';
import { Server, end2end, endAll } from './server.mjs';
import { mainRs } from './tree.mjs';

const artefacts = join(end2end, 'artefacts');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const readme = '# Read me\n\nA *program* with `code`, and [a link](https://example.com/).\n\n- one\n- two\n';

let browser;
let server;
let files;

before(async () => {
  mkdirSync(artefacts, { recursive: true });
  server = await Server.start();
  browser = await openBrowser();
  files = new Edited(browser, server, await server.newWorkspace('Edited'));
});

after(() => endAll(browser, server));

test('no other page fetches the editor', async () => {
  files.put('a.txt', 'one\n');
  const view = await openPage(browser, server);
  const asked = [];
  view.page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  const home = `/workspaces/${files.workspace}`;
  for (const path of ['/', home, `${home}/files/a.txt`, `${home}/settings`, '/account']) {
    await view.open(server.url + path);
  }
  assert.deepEqual(asked.filter((path) => /^\/pkg\/\w+\/editor/.test(path)), []);
  await view.open(files.page('edit', 'a.txt'));
  await view.page.locator('.cm-content').waitFor();
  assert.ok(asked.some((path) => path.endsWith('/editor/editor.js')));
  await view.close();
});

for (const [size, viewport] of Object.entries({ desktop, phone })) {
  for (const colorScheme of ['light', 'dark']) {
    test(`the editor and a conflict are sound on a ${size} in ${colorScheme}`, async () => {
      const options = { viewport, colorScheme };
      const name = `${size}-${colorScheme}`;
      const code = await files.open(`src/${name}.rs`, mainRs, options);
      await code.type('/* done */');
      await code.page.keyboard.press('Control+f');
      await code.page.locator('.cm-search').waitFor();
      await look(code.page, `editor-${name}`);
      await code.view.close();
      const prose = await files.open(`${name}.md`, readme, options);
      await prose.text.getByText('Read me').waitFor();
      await look(prose.page, `editor-prose-${name}`);
      await prose.view.close();
      const conflict = await files.conflict(`conflict-${name}.txt`, options);
      await look(conflict.page, `editor-conflict-${name}`);
      await conflict.view.close();
    });
  }
}

test('in one column theirs can be taken bit by bit', async () => {
  const editor = await files.conflict('narrow.txt', { viewport: phone });
  await editor.page.getByRole('button', { name: 'Take theirs here' }).first().click();
  await editor.press('Save merged');
  await editor.state('Saved');
  assert.equal(files.text('narrow.txt'), 'one\nTWO\nthree\nmine\n');
  await editor.view.close();
});

async function look(page, name) {
  await page.screenshot({ path: join(artefacts, `${name}.png`) });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${name} is ${wide} pixels wider than the screen`);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  const found = serious.flatMap(({ id, nodes }) => nodes.map(({ target, html }) => `${id} at ${target}: ${html}`));
  assert.deepEqual(found, [], name);
}
