// The server is killed and started again while a page is open.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { Server, endAll, eventually, runs } from './server.mjs';
import { SessionView, compareWithLog } from './session_view.mjs';

// What the browser itself writes when a server is not there, or goes away in mid-answer.
// A part of the console that is fetched ahead just then does not come, and comes when it is needed.
const CONNECTION_LOST = /Failed to load resource: net::ERR_(CONNECTION_(REFUSED|RESET|CLOSED)|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)|TypeError: Failed to fetch\n[^]*__wasm_split/;

let browser;
let server;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
});

after(() => endAll(browser, server));

async function inMidTurn() {
  const workspace = await server.newWorkspace('restarted', {
    permissionMode: 'PERMISSION_MODE_BYPASS_PERMISSIONS',
  });
  const id = await server.newSession(workspace);
  const view = await openPage(browser, server);
  await view.open(`${server.url}/workspaces/${workspace}/sessions/${id}`);
  const session = new SessionView(view);
  const marker = `600.${Math.floor(Math.random() * 1e9)}`;
  await session.say(`!say Before the restart.\n!glob *\n!bash sleep ${marker}`);
  await eventually('the command runs', () => runs(marker));
  await session.tool('Bash').and(view.page.locator('.running')).waitFor();
  // Lost when the page is loaded again, which it must not be.
  await view.page.evaluate(() => { globalThis.sameDocument = true; });
  return { view, session };
}

async function goesOn({ view, session }) {
  await session.turnHasEnded('Cut off by a restart of the server');
  await view.page.getByText('The server was restarted').first().waitFor();
  await view.page.getByRole('navigation', { name: 'Console' }).getByText('Live', { exact: true }).waitFor();
  await session.say('!say After the restart.');
  await session.turnHasEnded('Done');
  assert.equal((await session.agentText().last().innerText()).trim(), 'After the restart.');
  assert.ok(await view.page.evaluate(() => globalThis.sameDocument), 'the page was loaded again');
  await compareWithLog(session, server);
}

test('a page reconnects after a crash in mid-turn, without being loaded again', async () => {
  const open = await inMidTurn();
  await server.kill();
  await open.view.page.getByText('The connection is lost.').waitFor();
  await server.start();
  await goesOn(open);
  await open.view.page.getByText('The connection is lost.').waitFor({ state: 'hidden' });
  open.view.forgive(CONNECTION_LOST);
  await open.view.close();
});

test('a page reconnects after an orderly restart', async () => {
  const { view, session } = await inMidTurn();
  server.process.kill('SIGTERM');
  await eventually('the server has stopped', () => server.process.exitCode !== null);
  assert.equal(server.process.exitCode, 0);
  await server.start();
  await session.turnHasEnded('Cut off by a restart of the server');
  await session.say('!say After the restart.');
  await session.turnHasEnded('Done');
  assert.ok(await view.page.evaluate(() => globalThis.sameDocument), 'the page was loaded again');
  await compareWithLog(session, server);
  view.forgive(CONNECTION_LOST);
  await view.close();
});

test('a session that was cut off reads well in a new page', async () => {
  const { view, session } = await inMidTurn();
  const address = view.page.url();
  await view.page.goto('about:blank');
  await server.kill();
  await server.start();
  await view.open(address);
  await goesOn({ view: await marked(view), session });
  view.forgive(CONNECTION_LOST);
  await view.close();
});

async function marked(view) {
  await view.page.evaluate(() => { globalThis.sameDocument = true; });
  return view;
}
