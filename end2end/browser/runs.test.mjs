// Runs in the console: queued, followed while a runner works, cancelled, and their results applied.
// The runner is this test, over the same API as any other program.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { look, looks } from './look.mjs';
import { Server, endAll, eventually } from './server.mjs';
import { write } from './tree.mjs';

let browser;
let server;
let runner;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  const { secret } = await server.rpc('RunService/CreateRunnerToken', { name: 'a test' });
  runner = Object.assign(Object.create(server), { token: secret });
});

after(() => endAll(browser, server));

async function furnished(name) {
  const workspace = await server.newWorkspace(name);
  await write(server, workspace, 'notes.md', '# Notes\n');
  return workspace;
}

async function queue(workspaceId, spec) {
  const { run } = await server.rpc('RunService/CreateRun', { workspaceId, spec });
  return run.id;
}

async function claim() {
  const { lease } = await runner.rpc('RunService/ClaimRun', { runnerName: 'the test', wait: '20s' });
  await runner.rpc('RunService/StartRun', { lease });
  return lease;
}

function tell(lease, firstNumber, ...lines) {
  const events = lines.map((text) => ({ runOutput: { text: `${text}\n` } }));
  return runner.rpc('RunService/AppendRunEvents', { lease, firstNumber, events });
}

/** Sends back the files with another one changed, as a zip that the server itself has made. */
async function make(workspace, lease, files) {
  const scratch = await server.newWorkspace('What the runner made');
  for (const [path, text] of Object.entries(files)) await write(server, scratch, path, text);
  const address = `${server.url}/workspaces/${scratch}/files/archive?path=`;
  const answer = await fetch(address, { headers: { authorization: `Bearer ${server.token}` } });
  const chunk = Buffer.from(await answer.arrayBuffer()).toString('base64');
  await runner.stream('RunService/UploadRunResult', { lease }, { chunk });
}

test('a run is queued, followed and has ended', async () => {
  const workspace = await furnished('Follows');
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/runs`);
  await page.getByText('No runs yet').waitFor();
  await page.getByLabel('What is to be done?').fill('Count to three.');
  await page.getByRole('button', { name: 'Queue run' }).click();
  await page.waitForURL(/\/runs\/[0-9a-f-]{36}$/);
  await page.getByRole('heading', { name: 'Count to three.' }).waitFor();
  const state = page.locator('.run-head .state-word');
  assert.equal(await state.innerText(), 'Queued');
  const lease = await claim();
  await page.locator('.run-head').getByText('Running').waitFor();
  await tell(lease, 1, 'one');
  await page.getByRole('log').getByText('one', { exact: true }).waitFor();
  await tell(lease, 2, 'two', 'three');
  await page.getByRole('log').getByText('three', { exact: true }).waitFor();
  await runner.rpc('RunService/FinishRun', { lease, outcome: 'RUN_OUTCOME_SUCCEEDED', message: 'Counted.' });
  await page.locator('.run-head').getByText('Succeeded').waitFor();
  await page.locator('.run-message').getByText('Counted.').waitFor();
  assert.equal(await page.locator('.run-line').count(), 3);
  await page.reload();
  await view.alive();
  assert.equal(await page.locator('.run-line').count(), 3);
  await page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name: 'Runs' }).click();
  await page.locator('.row', { hasText: 'Count to three.' }).getByText('Succeeded').waitFor();
  await view.close();
});

test('the list shows what is asked for, and follows what goes on', async () => {
  const workspace = await furnished('Lists');
  const failed = await queue(workspace, { prompt: 'Fail early.' });
  const lease = await claim();
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/runs`);
  const row = page.locator('.row', { hasText: 'Fail early.' });
  await row.getByText('Running').waitFor();
  const words = page.getByLabel('What is to be done?');
  await words.fill('half a thought');
  await row.focus();
  await runner.rpc('RunService/FinishRun', { lease, outcome: 'RUN_OUTCOME_FAILED' });
  await row.getByText('Failed').waitFor();
  assert.equal(await words.inputValue(), 'half a thought');
  assert.ok(await row.evaluate((element) => element === document.activeElement));
  await queue(workspace, { prompt: 'Wait for ever.' });
  const which = page.getByRole('navigation', { name: 'Which runs' });
  await which.getByRole('link', { name: 'Not ended' }).click();
  await page.waitForURL(/\/runs\?show=open$/);
  await page.locator('.row', { hasText: 'Wait for ever.' }).waitFor();
  assert.equal(await row.count(), 0);
  await which.getByRole('link', { name: 'Succeeded' }).click();
  await page.getByText('No run is like this.').waitFor();
  await page.goBack();
  await page.locator('.row', { hasText: 'Wait for ever.' }).waitFor();
  assert.equal(await which.getByRole('link', { name: 'Not ended' }).getAttribute('aria-current'), 'true');
  await which.getByRole('link', { name: 'Failed' }).click();
  await row.click();
  await page.waitForURL(new RegExp(`${failed}$`));
  const { runs } = await server.rpc('RunService/ListRuns', { workspaceId: workspace, states: ['RUN_STATE_QUEUED'] });
  for (const run of runs) await server.rpc('RunService/CancelRun', { runId: run.id });
  await view.close();
});

test('a run that works is cancelled', async () => {
  const workspace = await furnished('Cancels');
  const id = await queue(workspace, { prompt: 'Never stop.' });
  const lease = await claim();
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/runs/${id}`);
  await page.getByRole('button', { name: 'Cancel run' }).click();
  await page.locator('.run-head').getByText('Cancelling').waitFor();
  const { cancelRequested } = await runner.rpc('RunService/HeartbeatRun', { lease });
  assert.equal(cancelRequested, true);
  await runner.rpc('RunService/FinishRun', { lease, outcome: 'RUN_OUTCOME_CANCELLED' });
  await page.locator('.run-head').getByText('Cancelled').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Cancel run' }).count(), 0);
  await view.close();
});

test('a run is run again, on the same files or on those that are there now', async () => {
  const workspace = await furnished('Again');
  const id = await queue(workspace, { prompt: 'Try this.' });
  const lease = await claim();
  await runner.rpc('RunService/FinishRun', { lease, outcome: 'RUN_OUTCOME_FAILED', message: 'No luck.' });
  const view = await openPage(browser, server);
  const { page } = view;
  const first = `${server.url}/workspaces/${workspace}/runs/${id}`;
  await view.open(first);
  await page.locator('.run-message').getByText('No luck.').waitFor();
  await page.getByRole('button', { name: 'On the same files' }).click();
  await page.waitForURL((url) => url.href !== first);
  await page.locator('.run-head').getByText('Queued').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Run again' }).count(), 0);
  await page.getByRole('link', { name: 'an earlier run' }).click();
  await page.waitForURL(first);
  await page.getByRole('button', { name: 'Run again' }).click();
  await page.waitForURL((url) => url.href !== first);
  await page.locator('.run-head').getByText('Queued').waitFor();
  const { runs } = await server.rpc('RunService/ListRuns', { workspaceId: workspace });
  assert.deepEqual(runs.map((run) => run.retryOfRunId ?? ''), [id, id, '']);
  const bases = runs.map((run) => run.spec.baseSnapshotId);
  assert.equal(bases[1], bases[2]);
  // Nobody works on them, and the next test claims what there is.
  for (const run of runs.slice(0, 2)) await server.rpc('RunService/CancelRun', { runId: run.id });
  await view.close();
});

test('a conflict is named, a side is chosen, and the result is applied', async () => {
  const workspace = await furnished('Conflicts');
  await write(server, workspace, 'mine.md', 'old\n');
  const id = await queue(workspace, { prompt: 'Change both.' });
  const lease = await claim();
  await write(server, workspace, 'mine.md', 'a person wrote this\n');
  await make(workspace, lease, { 'notes.md': '# Better notes\n', 'mine.md': 'the run wrote this\n' });
  await runner.rpc('RunService/FinishRun', { lease, outcome: 'RUN_OUTCOME_SUCCEEDED' });
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/runs/${id}`);
  await page.getByText('both the run and somebody here changed some files').waitFor();
  await page.getByRole('checkbox', { name: 'mine.md' }).check();
  await page.getByRole('button', { name: 'Apply to the workspace' }).click();
  await page.getByText('It is in the workspace now.').waitFor();
  const read = async (path) => {
    const address = `${server.url}/workspaces/${workspace}/files/raw?path=${path}`;
    return (await fetch(address, { headers: { authorization: `Bearer ${server.token}` } })).text();
  };
  assert.equal(await read('mine.md'), 'a person wrote this\n');
  assert.equal(await read('notes.md'), '# Better notes\n');
  await page.getByRole('link', { name: 'Review changes' }).click();
  await page.getByRole('link', { name: 'notes.md' }).click();
  await page.getByText('Better notes').first().waitFor();
  await view.close();
});

for (const { name: on, ...options } of looks) {
  test(`runs are sound on a ${on}`, async () => {
    const problems = [];
    const workspace = await furnished('Looks');
    const empty = await server.newWorkspace('Empty');
    const done = await queue(workspace, { prompt: 'Make something with a long title that goes on and on, and more.\nIn two lines.', applyMode: 'APPLY_MODE_MANUAL' });
    const lease = await claim();
    await tell(lease, 1, 'one line of output', 'and another one that is long '.repeat(12));
    await make(workspace, lease, { 'notes.md': '# Other notes\n' });
    await runner.rpc('RunService/FinishRun', { lease, outcome: 'RUN_OUTCOME_SUCCEEDED', message: 'Done.' });
    await queue(workspace, { prompt: 'Wait for a runner that never comes.', labels: { gpu: 'none here' } });
    const settled = async () => (await server.rpc('RunService/GetRun', { runId: done })).run.applyState === 'APPLY_STATE_PENDING';
    await eventually('the result waits', settled);
    const view = await openPage(browser, server, options);
    await view.open(`${server.url}/workspaces/${empty}/runs`);
    problems.push(...await look(view.page, `runs-empty-${on}`));
    await view.open(`${server.url}/workspaces/${workspace}/runs`);
    problems.push(...await look(view.page, `runs-${on}`));
    await view.open(`${server.url}/workspaces/${workspace}/runs/${done}`);
    problems.push(...await look(view.page, `run-${on}`));
    await view.close();
    assert.deepEqual(problems, []);
  });
}
