// Signing in with a link.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { Server, endAll } from './server.mjs';

let browser;
let server;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
});

after(() => endAll(browser, server));

test('a sign-in link leads to the workspaces and leaves no token in the address', async () => {
  const view = await openPage(browser, server, { signedIn: false });
  await view.page.goto(await server.loginLink());
  await view.page.waitForURL(`${server.url}/`);
  await view.page.getByRole('heading', { name: 'Workspaces', exact: true }).waitFor();
  const cookies = await view.context.cookies();
  assert.deepEqual(cookies.map(({ httpOnly, sameSite }) => [httpOnly, sameSite !== 'None']), [[true, true]]);
  await view.page.goBack();
  assert.ok(!view.page.url().includes('token='), view.page.url());
  await view.close();
});

test('a sign-in link works once', async () => {
  const link = await server.loginLink();
  const first = await openPage(browser, server, { signedIn: false });
  await first.page.goto(link);
  await first.page.waitForURL(`${server.url}/`);
  await first.close();
  const second = await openPage(browser, server, { signedIn: false });
  await second.page.goto(link);
  await second.page.getByRole('alert').waitFor();
  await second.page.goto(server.url);
  assert.ok(second.page.url().includes('/sign-in'), second.page.url());
  // The browser itself writes that the exchange was refused.
  second.forgive(/status of 401/);
  await second.close();
});

test('who is not signed in is led to where they wanted to go', async () => {
  const view = await openPage(browser, server, { signedIn: false });
  await view.page.goto(`${server.url}/account`);
  const address = new URL(view.page.url());
  assert.equal(`${address.pathname}${address.search}`, '/sign-in?next=%2Faccount');
  const token = new URL(await server.loginLink()).hash;
  await view.page.goto(`${address}${token}`);
  await view.page.waitForURL(`${server.url}/account`);
  await view.close();
});

test('signing out ends the session in this browser', async () => {
  const view = await openPage(browser, server);
  await view.open(`${server.url}/account`);
  await view.page.getByRole('button', { name: 'Sign out' }).click();
  await view.page.waitForURL(/\/sign-in/);
  await view.page.goto(`${server.url}/account`);
  assert.ok(view.page.url().includes('/sign-in'), view.page.url());
  await view.close();
});
