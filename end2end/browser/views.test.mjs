// Every view, large and small, light and dark: it is rendered without a word on the console, fits
// the screen, and has no serious accessibility problem. Screenshots are kept in artefacts/.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { look, looks } from './look.mjs';
import { Server, endAll } from './server.mjs';
import { showcase } from './showcase.mjs';

let browser;
let server;
let views;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  views = await showcase(server);
});

after(() => endAll(browser, server));

for (const { name: on, ...options } of looks) {
  test(`every view is sound on a ${on}`, async () => {
    const problems = [];
    const view = await openPage(browser, server, options);
    for (const [name, path] of Object.entries(views)) {
      await show(view, name, path);
      problems.push(...await look(view.page, `${name}-${on}`));
    }
    await view.close();
    assert.deepEqual(problems, []);
  });
}

// Together, since what a page's head says is read when its parts may be gone already.
test('pages that are opened many times at once always answer', async () => {
  const { context } = await openPage(browser, server);
  for (const path of Object.values(views)) {
    const get = () => context.request.get(server.url + path, { headers: { connection: 'close' } });
    for (const answer of await Promise.all(Array.from({ length: 30 }, get))) {
      assert.ok([200, 404].includes(answer.status()), `${path} answers ${answer.status()}`);
      assert.match(await answer.text(), /<\/html>/, path);
    }
  }
  await context.close();
});

async function show(view, name, path) {
  await view.open(server.url + path);
  if (name.startsWith('session')) await view.page.locator('.entry').last().waitFor();
  // The browser itself writes that a page was answered with 404, which these are meant to be.
  if (['missing', 'nowhere'].includes(name)) view.forgive(/status of 404/);
}
