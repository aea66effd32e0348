// The tab that holds the stream for all of them goes, and the others go on.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser } from './browser.mjs';
import { Server, endAll, eventually } from './server.mjs';
import { NO_NETWORK, beginTurns, crash, endsWell, live, openTabs, sessionsOf } from './tabs.mjs';

let browser;
let server;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
});

after(() => endAll(browser, server));

test('when the leading tab is closed in mid-turn the others go on', async () => {
  const { view, tabs, open } = await openTabs(browser, server, await sessionsOf(server, 3));
  await beginTurns(open, 'tab');
  const leader = tabs.leader(open);
  await leader.page.close();
  const left = open.filter((session) => session !== leader);
  await Promise.all(left.map((session) => endsWell(session, server)));
  await tabs.settle();
  assert.ok(left.includes(tabs.leader(left)));
  await Promise.all(left.map(live));
  await view.close();
});

test('when the leading tab crashes in mid-turn the others go on', async () => {
  const { view, tabs, open } = await openTabs(browser, server, await sessionsOf(server, 3));
  await beginTurns(open, 'crash');
  const leader = tabs.leader(open);
  await crash(tabs, leader.page);
  const left = open.filter((session) => session !== leader);
  await Promise.all(left.map((session) => endsWell(session, server)));
  await Promise.all(left.map(live));
  assert.equal(tabs.open.size, 1);
  view.forgive(/page error: it crashed/);
  await view.close();
});

// Browsers freeze no page that is seen, and without a screen each is. So it is told that it will be.
test('a tab that is to be frozen gives up the lead, and comes back', async () => {
  const { view, tabs, open } = await openTabs(browser, server, await sessionsOf(server, 2));
  const frozen = tabs.leader(open);
  const other = open.find((session) => session !== frozen);
  const tell = (event) => frozen.page.evaluate((name) => { document.dispatchEvent(new Event(name)); }, event);
  await tell('freeze');
  await eventually('the other leads', () => tabs.open.size === 1 && tabs.leader([other]));
  await server.send(frozen.id(), '!say Said while it was frozen.');
  await server.turnEnds(frozen.id());
  await other.say('!say Said by the other.');
  await endsWell(other, server);
  await tell('resume');
  await endsWell(frozen, server);
  await live(frozen);
  assert.equal(tabs.open.size, 1);
  await view.close();
});
test('without a network all tabs say so, and go on when it is back', async () => {
  const { view, tabs, open } = await openTabs(browser, server, await sessionsOf(server, 2));
  await view.context.setOffline(true);
  await Promise.all(open.map(({ page }) => (
    page.getByRole('navigation', { name: 'Console' }).getByText('Offline', { exact: true }).waitFor({ timeout: 40_000 })
  )));
  for (const session of open) await server.send(session.id(), '!say Said meanwhile.');
  await Promise.all(open.map((session) => server.turnEnds(session.id())));
  await view.context.setOffline(false);
  await Promise.all(open.map(live));
  await Promise.all(open.map((session) => endsWell(session, server)));
  assert.equal(tabs.open.size, 1);
  view.forgive(NO_NETWORK);
  await view.close();
});
