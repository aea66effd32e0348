// The review of changes: read file by file, and put back by file and by hunk.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser, openPage, phone } from './browser.mjs';
import { changedSession, hostile, longest, work } from './changed.mjs';
import { Server, endAll } from './server.mjs';

let browser;
let server;
let told;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  told = await changedSession(server);
});

after(() => endAll(browser, server));

const file = (path) => encodeURIComponent(path);

/** The address of the review, or of a change set of another session. */
const review = (place = told, query = '') => `/workspaces/${place.workspace}/changes/${place.set}${query}`;

const onDisk = (workspace, path) => join(server.data, 'workspaces', workspace, 'files', path);

async function open(path, options) {
  const view = await openPage(browser, server, options);
  await view.open(server.url + path);
  return view;
}

const link = (page, name) => page.locator('.change-link').filter({ has: page.getByText(name, { exact: true }) });

/** A session of its own with one changed file of two hunks. */
async function edited(name) {
  const workspace = await server.newWorkspace(name, { permissionMode: 'PERMISSION_MODE_BYPASS_PERMISSIONS' });
  const session = await server.newSession(workspace);
  await work(server, session, "!bash seq 1 60 > a.txt; seq 1 60 > b.txt");
  const set = await work(
    server, session, "!bash sed -i 's/^5$/five/; s/^50$/fifty/' a.txt; sed -i 's/^9$/nine/' b.txt; echo new > c.txt",
  );
  return { workspace, session, set };
}

test('a turn says what it changed and leads to the review of it', async () => {
  const view = await open(`/workspaces/${told.workspace}/sessions/${told.session}`);
  const { page } = view;
  const line = page.locator('.turn-line').last();
  assert.match(await line.innerText(), /\d+ files\s+\+\d+\s+−\d+\s+Review changes/);
  await line.getByRole('link', { name: /Review changes/ }).click();
  await page.waitForURL(`${server.url}${review()}`);
  await page.getByRole('heading', { name: /Agent in Measure the steps/ }).waitFor();
  await page.goBack();
  await page.getByRole('link', { name: 'Changes', exact: true }).and(page.locator('.head-changes')).click();
  await page.waitForURL(/\/sessions\/[0-9a-f-]+\/changes$/);
  await page.getByRole('heading', { name: /Changes of the session/ }).waitFor();
  await view.close();
});

test('the list of change sets is reached from the rail and leads on', async () => {
  const view = await open(`/workspaces/${told.workspace}`);
  const { page } = view;
  await page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name: 'Changes' }).click();
  await page.locator('.set-link').first().waitFor();
  assert.match(await page.locator('.set-link').first().innerText(), /Agent[^]*Measure the steps[^]*files/);
  await page.locator('.set-link').first().click();
  await page.waitForURL(`${server.url}${review()}`);
  await view.close();
});

test('every kind of change is named', async () => {
  const view = await open(review());
  const { page } = view;
  for (const [name, status] of [
    ['steps.rs', 'Modified'], ['manual.md', 'Renamed'], ['gone.txt', 'Deleted'],
    ['run.sh', 'Permissions changed'], ['data.bin', 'Added'], ['logo.png', 'Modified'],
  ]) {
    await link(page, name).click();
    await page.locator('.file-title').getByText(name, { exact: true }).waitFor();
    assert.equal(await page.locator('.status-word').innerText(), status, name);
    assert.equal(await link(page, name).getAttribute('aria-current'), 'page', name);
  }
  await link(page, 'manual.md').click();
  await page.locator('.file-title').getByText('guide.md', { exact: true }).waitFor();
  await link(page, 'data.bin').click();
  await page.getByText('3.0 kB').waitFor();
  await link(page, '.mcp.json').click();
  await page.locator('.file-head').getByText('it names programs that agents start').waitFor();
  await link(page, 'end.txt').click();
  await page.getByText('no line end', { exact: true }).last().waitFor();
  await view.close();
});

test('a picture is shown before and after', async () => {
  const view = await open(review(told, `?file=${file('assets/logo.png')}`));
  const pictures = view.page.locator('.picture img');
  await pictures.nth(1).waitFor();
  const widths = await pictures.evaluateAll((all) => all.map((one) => one.naturalWidth));
  assert.deepEqual(widths, [96, 96]);
  await view.close();
});

test('lines stand in one column or two, with as many around them as wanted', async () => {
  const view = await open(review(told, `?file=${file('src/steps.rs')}`));
  const { page } = view;
  const shown = () => page.locator('.diff-table tr').count();
  assert.equal(await page.locator('.hunk').count(), 2);
  assert.equal(await shown(), 17);
  const marks = await page.locator('.hunk').first().locator('mark').allInnerTexts();
  assert.deepEqual(marks, ['measure(10,', '"first");', 'measure(11,', '"second");']);
  await page.getByRole('link', { name: 'Side by side' }).click();
  await page.locator('.diff-table.split').first().waitFor();
  assert.match(page.url(), /view=split/);
  assert.equal(await shown(), 15);
  await page.getByRole('link', { name: '20 lines' }).click();
  await page.waitForURL(/context=20/);
  await page.getByText('step_30 ').first().waitFor();
  await page.getByRole('link', { name: 'Whole file' }).click();
  await page.getByText('step_40 ').first().waitFor();
  assert.equal(await shown(), 91);
  await page.reload();
  await view.alive();
  assert.equal(await shown(), 91);
  await page.goBack();
  await page.goBack();
  await page.waitForURL((url) => !url.search.includes('context'));
  await view.close();
});

test('a hunk is put back after asking once, and what changed since is left alone', async () => {
  const place = await edited('hunks');
  const view = await open(review(place, '?file=a.txt'));
  const { page } = view;
  const first = page.locator('.hunk').first();
  await first.getByRole('button', { name: 'Discard' }).click();
  await first.getByRole('button', { name: 'Keep' }).click();
  assert.match(readFileSync(onDisk(place.workspace, 'a.txt'), 'utf8'), /\nfive\n/);
  await first.getByRole('button', { name: 'Discard' }).click();
  await first.getByRole('group').getByRole('button', { name: 'Discard' }).click();
  await page.getByRole('status').getByText('As before again').waitFor();
  const text = readFileSync(onDisk(place.workspace, 'a.txt'), 'utf8');
  assert.match(text, /\n5\n/);
  assert.match(text, /\nfifty\n/);
  await page.getByText('This file has changed since').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Discard file' }).count(), 0);

  await page.getByRole('button', { name: 'Discard all' }).click();
  await page.getByRole('group', { name: /back as before/ }).getByRole('button', { name: 'Discard' }).click();
  await page.getByText('Left alone').waitFor();
  const told = await page.locator('.outcome').innerText();
  assert.match(told, /As before again:\s*b.txt\s*c.txt/);
  assert.match(told, /Left alone[^]*a.txt/);
  assert.match(readFileSync(onDisk(place.workspace, 'b.txt'), 'utf8'), /\n9\n/);
  assert.ok(!existsSync(onDisk(place.workspace, 'c.txt')));
  await view.close();
});

test('a file is put back, and not while an agent works', async () => {
  const place = await edited('files');
  const view = await open(review(place, '?file=b.txt'));
  const { page } = view;
  const discard = async () => {
    await page.getByRole('button', { name: 'Discard file' }).click();
    await page.locator('.file-tools').getByRole('group', { name: /back/ }).getByRole('button', { name: 'Discard' }).click();
  };
  await server.send(place.session, '!bash while [ ! -e stop ]; do sleep 0.1; done; rm stop');
  await discard();
  await page.getByText('An agent is at work in this workspace').waitFor();
  await server.rpc('SessionService/InterruptSession', { sessionId: place.session });
  await server.turnEnds(place.session, 3);
  await discard();
  await page.getByRole('status').getByText('As before again').waitFor();
  assert.match(readFileSync(onDisk(place.workspace, 'b.txt'), 'utf8'), /\n9\n/);
  await view.close();
});

test('names are shown as what they are', async () => {
  const view = await open(review());
  const { page } = view;
  for (const [name, shown] of [
    [hostile.markup, hostile.markup], [hostile.turned, 'gpj[U+202E]txt.exe'],
    [hostile.broken, 'two[LF]lines.txt'], [hostile.percent, hostile.percent],
  ]) {
    await page.locator('.change-link', { hasText: shown }).click();
    await page.locator('.file-title').getByText(shown).waitFor();
    assert.equal(new URL(page.url()).searchParams.get('file'), name);
    await page.reload();
    await view.alive();
    await page.locator('.file-title').getByText(shown).waitFor();
  }
  await page.locator('.change-link', { hasText: 'and-its-file.txt' }).click();
  await page.waitForURL((url) => url.searchParams.get('file') === longest);
  await page.locator('.diff-table').getByText('deep').waitFor();
  for (const selector of ['.review-files', '.review-pane', 'body']) {
    const wide = await page.locator(selector).evaluate((one) => one.scrollWidth - one.clientWidth);
    assert.equal(wide, 0, selector);
  }
  await view.close();
});

test('keys alone go through files and hunks, turn the view, and put a hunk back', async () => {
  const place = await edited('keys');
  const view = await open(`/workspaces/${place.workspace}/changes`);
  const { page } = view;
  const { keyboard } = page;
  await page.locator('.set-link').first().waitFor();
  await keyboard.press('j');
  await keyboard.press('Enter');
  await page.waitForURL(`${server.url}${review(place)}`);
  await page.locator('.hunk').nth(1).waitFor();
  await keyboard.press('j');
  await page.waitForURL(/file=b.txt/);
  await page.locator('.file-title').getByText('b.txt').waitFor();
  await keyboard.press('k');
  await page.waitForURL(/file=a.txt/);
  await page.locator('.file-title').getByText('a.txt').waitFor();
  const focus = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
  await keyboard.press('Enter');
  assert.equal(await focus(), 'Change at line 2');
  await keyboard.press('n');
  assert.equal(await focus(), 'Change at line 47');
  await keyboard.press('p');
  assert.equal(await focus(), 'Change at line 2');
  await keyboard.press('u');
  await page.locator('.diff-table.split').first().waitFor();
  await keyboard.press('u');
  await page.locator('.diff-table.unified').first().waitFor();
  await page.locator('.hunk').nth(1).waitFor();
  await keyboard.press('n');
  await keyboard.press('n');
  assert.equal(await focus(), 'Change at line 47');
  await keyboard.press('d');
  await page.getByRole('group', { name: /Put these lines back/ }).waitFor();
  await keyboard.press('Escape');
  // The focus comes back to the button of the hunk in the next frame.
  await page.locator('.hunk :focus').waitFor();
  await keyboard.press('d');
  await page.locator('.discard-asked .danger:focus').waitFor();
  await keyboard.press('Enter');
  await page.getByRole('status').getByText('As before again').waitFor();
  assert.match(readFileSync(onDisk(place.workspace, 'a.txt'), 'utf8'), /\n50\n/);
  await view.close();
});

test('a phone shows the list and then the file, in one column', async () => {
  const view = await open(review(told, '?view=split'), { viewport: phone });
  const { page } = view;
  assert.ok(!(await page.locator('.review-pane').isVisible()));
  await link(page, 'steps.rs').click();
  await page.locator('.diff-table.unified').first().waitFor();
  assert.ok(!(await page.locator('.review-files').isVisible()));
  const { width } = await page.locator('.hunk').first().boundingBox();
  assert.equal(width, phone.width);
  await page.getByRole('link', { name: 'All files' }).click();
  await link(page, 'steps.rs').waitFor();
  await view.close();
});

test('changes are readable without scripts', async () => {
  const view = await openPage(browser, server, { javaScriptEnabled: false });
  const { page } = view;
  await page.goto(`${server.url}/workspaces/${told.workspace}/changes`);
  await page.locator('.set-link').first().click();
  await link(page, 'steps.rs').click();
  assert.equal(await page.locator('.hunk').count(), 2);
  await page.getByRole('link', { name: 'Side by side' }).click();
  await page.locator('.diff-table.split').first().waitFor();
  await page.getByRole('link', { name: 'Whole file' }).click();
  await page.getByText('step_40 ').first().waitFor();
  await view.close();
});

test('what does not exist says so', async () => {
  const view = await openPage(browser, server);
  const none = '00000000-0000-4000-8000-000000000000';
  await view.open(`${server.url}/workspaces/${told.workspace}/changes/${none}`);
  await view.page.getByRole('heading', { name: 'Not found' }).first().waitFor();
  view.forgive(/status of 404/);
  await view.close();
});
