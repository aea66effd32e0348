// Many tabs of one browser, over HTTP/1 with its six connections to a host, and one stream.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser } from './browser.mjs';
import { Server, endAll, eventually } from './server.mjs';
import { NO_NETWORK, endsWell, inMidTurn, live, never, openTabs, sessionsOf, story, watchesBegun } from './tabs.mjs';

let browser;
let server;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
});

after(() => endAll(browser, server));

test('seven tabs that are opened together have one stream, and each can still call', async () => {
  const sessions = await sessionsOf(server, 7, 4);
  const { view, tabs, open } = await openTabs(browser, server, sessions);
  assert.ok(tabs.begun < 7, `the stream was opened ${tabs.begun} times`);
  await Promise.all(open.map(async (session, at) => {
    const sent = Date.now();
    await session.say(`!say Word of ${at}.`);
    await session.page.locator('.user-card').getByText(`Word of ${at}.`).waitFor();
    assert.ok(Date.now() - sent < 30_000, 'a call had to wait');
  }));
  await Promise.all(open.map((session) => endsWell(session, server)));
  for (const { page } of open) {
    const asked = Date.now();
    assert.equal(await page.evaluate(() => fetch('/health').then((answer) => answer.status)), 200);
    assert.ok(Date.now() - asked < 10_000, 'a request had to wait for a connection');
  }
  assert.equal(tabs.open.size, 1);
  assert.equal(watchesBegun(server), tabs.begun, 'the server has seen others');
  await view.close();
});

test('two tabs of one session show the same, also in mid-block', async () => {
  const [session] = await sessionsOf(server, 1);
  const { view, tabs, open: [first] } = await openTabs(browser, server, [session]);
  await first.say(story('twice'));
  await inMidTurn(first);
  const second = await tabs.openSession(session);
  await inMidTurn(second);
  await Promise.all([first, second].map((session) => endsWell(session, server)));
  assert.equal(tabs.open.size, 1);
  await view.close();
});

test('a tab that leaves its session wants nothing any more', async () => {
  const sessions = await sessionsOf(server, 2, 1);
  const { view, tabs, open } = await openTabs(browser, server, sessions);
  for (const { page } of open) {
    await page.getByRole('link', { name: 'Workspaces' }).first().click();
    await page.getByRole('heading', { name: 'Workspaces', exact: true }).waitFor();
  }
  await eventually('no watch is open', () => tabs.open.size === 0);
  await view.close();
});

test('signing out in one tab ends the stream of all', async () => {
  const { view, tabs, open } = await openTabs(browser, server, await sessionsOf(server, 3));
  const [first, ...others] = open;
  await first.page.goto(`${server.url}/account`);
  await first.page.getByRole('button', { name: 'Sign out' }).click();
  await first.page.waitForURL(/\/sign-in/);
  await eventually('no watch is open', () => tabs.open.size === 0);
  for (const { page } of others) await page.locator('.session-foot .problem').waitFor();
  view.forgive(/status of 401/);
  await view.close();
});

test('another user who signs in in the same browser shares nothing with the first', async () => {
  const { view, tabs, open: [first] } = await openTabs(browser, server, await sessionsOf(server, 1));
  const mine = await listenIn(first);
  const berta = await secondUser();
  const workspace = await berta.newWorkspace('hers', never);
  const hers = await tabs.openSession({ workspace, id: await berta.newSession(workspace) });
  await live(hers);
  assert.equal(tabs.open.size, 2);
  await hers.say('!say For her eyes only.');
  await hers.turnHasEnded('Done');
  assert.ok(!(await mine()).includes('For her eyes'));
  // The first tab's stream breaks, and the browser is now somebody else's.
  await view.context.setOffline(true);
  await view.context.setOffline(false);
  await first.page.getByText('Somebody else has signed in in this browser.').waitFor();
  await live(hers);
  await eventually('only hers is open', () => tabs.open.size === 1);
  view.forgive(NO_NETWORK);
  await view.close();

  async function secondUser() {
    await server.command('user', 'create', 'Berta');
    const link = await server.command('login-link', '--user', 'Berta');
    const token = new URL(link).hash.replace('#token=', '');
    await view.context.request.post(`${server.url}/auth/exchange`, { data: { token } });
    const secret = await server.command('token', 'create', 'hers', '--user', 'Berta');
    return Object.assign(Object.create(server), { token: secret });
  }
});

/** Notes every letter that tabs of the same user send; the answer is all of them as text. */
async function listenIn({ page }) {
  await page.evaluate(async () => {
    const { held, pending } = await navigator.locks.query();
    const [{ name }] = [...held, ...pending];
    globalThis.letters = '';
    const channel = new BroadcastChannel(name);
    channel.onmessage = ({ data }) => { globalThis.letters += new TextDecoder().decode(data); };
  });
  return () => page.evaluate(() => globalThis.letters);
}
