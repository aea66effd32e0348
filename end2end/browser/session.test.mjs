// A session in the console: a crate is uploaded, the agent works on it, and a person answers.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { zippedCrate } from './project.mjs';
import { Server, endAll, eventually, runs } from './server.mjs';
import { SessionView, compareWithLog } from './session_view.mjs';

const never = { permissionMode: 'PERMISSION_MODE_BYPASS_PERMISSIONS' };

let browser;
let server;

before(async () => {
  server = await Server.start('--sandbox-toolchains', 'true');
  browser = await openBrowser();
});

after(() => endAll(browser, server));

test('a crate is uploaded as a zip, and the agent greps, reads, edits and compiles it', async () => {
  const crate = zippedCrate();
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/`);
  await page.getByRole('link', { name: 'New workspace' }).click();
  await page.getByLabel('Name').fill('a real crate');
  await page.getByLabel('Start from').setInputFiles(crate.zip);
  await page.getByRole('button', { name: 'Create workspace' }).click();
  await page.waitForURL(/\/workspaces\/[0-9a-f-]{36}$/);
  const workspace = page.url().split('/').pop();
  await page.getByLabel('What should the agent do?').fill([
    '!grep pub struct', `!read ${crate.file}`, `!edit ${crate.file} ${crate.line} => ${crate.changed}`,
    '!bash cargo build --offline 2>&1', '!say The crate compiles.',
  ].join('\n'));
  await page.getByRole('button', { name: 'New session' }).click();
  await page.waitForURL(/\/sessions\/[0-9a-f-]{36}$/);
  const session = new SessionView(view);

  // One by one: the first two are done, an edit waits, nothing after it is there yet.
  await session.tool('Edit').and(page.locator('.waiting')).waitFor();
  assert.deepEqual(await session.toolNames(), ['Grep', 'Read', 'Edit']);
  assert.equal(await session.turnEnds().count(), 0);
  await session.allow();
  await session.tool('Bash').and(page.locator('.waiting')).waitFor();
  assert.equal(await session.turnEnds().count(), 0);
  await session.allow();
  await session.turnHasEnded('Done');

  assert.match(await session.output(session.tool('Bash')), /Finished/);
  assert.match(await session.output(session.tool('Edit')), /eight bytes/);
  const files = join(server.data, 'workspaces', workspace, 'files');
  assert.ok(existsSync(join(files, crate.library)), `${crate.library} was not built`);
  assert.equal((await session.agentText().last().innerText()).trim(), 'The crate compiles.');
  await compareWithLog(session, server);
  await view.close();
});

test('text grows while it is said', async () => {
  const { view, session } = await openSession(never);
  const words = 'one word after the other '.repeat(20).trim();
  const lengths = session.watchLengthOf('.agent-text');
  await session.say(`!chunk-ms 20\n!chunk-chars 10\n!say ${words}`);
  await session.turnHasEnded('Done');
  const seen = await lengths();
  assert.ok(seen.filter((length) => length > 0 && length < words.length).length >= 3, `${seen}`);
  assert.equal((await session.agentText().last().innerText()).trim(), words);
  await view.close();
});

test('a page that is loaded again in mid-turn loses and doubles nothing', async () => {
  const { view, session } = await openSession(never);
  const words = 'a long story '.repeat(120).trim();
  await session.say(`!chunk-ms 10\n!glob *\n!chunk-ms 10\n!say ${words}\n!bash seq 3\n!say The end.`);
  for (const begun of ['.tool-name', '.agent-text']) {
    await view.page.locator(begun).first().waitFor();
    await view.page.reload();
    await view.alive();
    assert.equal(await session.turnEnds().count(), 0, 'the turn ended before the page was loaded again');
  }
  await session.turnHasEnded('Done');
  await compareWithLog(session, server);
  await view.page.reload();
  await view.alive();
  await compareWithLog(session, server);
  await view.close();
});

test('stopping a command that would take ten minutes leaves no process', async () => {
  const { view, session } = await openSession(never);
  const marker = `600.${Math.floor(Math.random() * 1e9)}`;
  await session.say(`!bash sleep ${marker}`);
  await eventually('the command runs', () => runs(marker));
  await view.page.getByRole('button', { name: 'Stop' }).click();
  await session.turnHasEnded('Stopped');
  await eventually('no process is left', () => !runs(marker), 5);
  await session.say('!say Still here.');
  await session.turnHasEnded('Done');
  await view.close();
});

test('a denial with a reason is shown and told to the agent', async () => {
  const { view, session } = await openSession();
  await session.say('!bash rm -rf everything');
  await session.approval().getByRole('textbox').fill('we still need that');
  await session.approval().getByRole('button', { name: 'Deny' }).click();
  await session.turnHasEnded('Done');
  assert.match(await session.tool('Bash').innerText(), /denied/);
  assert.match(await session.output(session.tool('Bash')), /we still need that/);
  const events = await server.events(session.id());
  const told = events.find((event) => event.payload.toolResult).payload.toolResult;
  assert.ok(told.isError);
  assert.match(told.content[0].text, /we still need that/);
  await view.close();
});

async function openSession(settings = {}) {
  const workspace = await server.newWorkspace('sessions', settings);
  const id = await server.newSession(workspace);
  const view = await openPage(browser, server);
  await view.open(`${server.url}/workspaces/${workspace}/sessions/${id}`);
  return { view, session: new SessionView(view) };
}
