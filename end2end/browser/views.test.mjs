// Every view, large and small, light and dark: it is rendered without a word on the console, fits
// the screen, and has no serious accessibility problem. Screenshots are kept in artefacts/.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { desktop, openBrowser, openPage, phone } from './browser.mjs';
import { Server, end2end, endAll } from './server.mjs';
import { showcase } from './showcase.mjs';

const artefacts = join(end2end, 'artefacts');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const sizes = { desktop, phone };
const themes = ['light', 'dark'];

let browser;
let server;
let views;

before(async () => {
  mkdirSync(artefacts, { recursive: true });
  server = await Server.start();
  browser = await openBrowser();
  views = await showcase(server);
});

after(() => endAll(browser, server));

for (const [size, viewport] of Object.entries(sizes)) {
  for (const colorScheme of themes) {
    test(`every view is sound on a ${size} in ${colorScheme}`, async () => {
      const problems = [];
      const view = await openPage(browser, server, { viewport, colorScheme });
      for (const [name, path] of Object.entries(views)) {
        await show(view, name, path);
        await view.page.screenshot({ path: join(artefacts, `${name}-${size}-${colorScheme}.png`) });
        problems.push(...(await problemsOf(view.page)).map((problem) => `${name}: ${problem}`));
      }
      await view.close();
      assert.deepEqual(problems, []);
    });
  }
}

test('pages that are opened again and again always answer', async () => {
  const { context } = await openPage(browser, server);
  for (const path of Object.values(views)) {
    for (let round = 0; round < 15; round += 1) {
      const answer = await context.request.get(server.url + path, { headers: { connection: 'close' } });
      assert.match(await answer.text(), /<\/html>/, path);
    }
  }
  await context.close();
});

async function show(view, name, path) {
  await view.open(server.url + path);
  if (name.startsWith('session')) await view.page.locator('.entry').last().waitFor();
  // The browser itself writes that a page was answered with 404, which it is meant to be.
  if (name === 'missing') view.forgive(/status of 404/);
}

async function problemsOf(page) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  const found = serious.map(({ id, nodes }) => `${id} at ${nodes.map(({ target }) => target).join(', ')}`);
  return wide > 0 ? [...found, `${wide} pixels wider than the screen`] : found;
}
