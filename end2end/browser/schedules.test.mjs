// Schedules in the console: written with a preview, one that fires and whose run an agent does, run at
// once, changed, turned off, deleted.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { look, looks } from './look.mjs';
import { Server, endAll, eventually } from './server.mjs';

let browser;
let server;

before(async () => {
  server = await Server.start('--embedded-runner', 'true');
  browser = await openBrowser();
});

after(() => endAll(browser, server));

async function create(workspaceId, schedule) {
  const made = await server.rpc('ScheduleService/CreateSchedule', {
    workspaceId,
    schedule: { timeZone: 'Europe/Zurich', enabled: true, ...schedule },
  });
  return made.schedule.id;
}

test('a schedule that fires makes a run, and an agent does it', async () => {
  const workspace = await server.newWorkspace('Fires');
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/schedules`);
  await page.getByText('No schedules yet').waitFor();
  await page.getByLabel('What is to be done?').fill('!write made.txt by the clock');
  await page.getByLabel('When').fill('* * * * *');
  await page.getByText('Every minute').waitFor();
  assert.ok(await page.getByLabel('Time zone').inputValue(), 'the browser knows its zone');
  await page.getByRole('button', { name: 'Create schedule' }).click();
  await page.waitForURL(/\/schedules\/[0-9a-f-]{36}$/);
  await page.locator('.run-head').getByText('On', { exact: true }).waitFor();
  assert.equal(await page.locator('.fire-times li').count(), 5);
  const schedule = page.url().split('/').at(-1);
  const fired = async () => {
    const { runs = [] } = await server.rpc('RunService/ListRuns', {
      workspaceId: workspace, scheduleId: schedule,
    });
    return runs.find(({ applyState }) => applyState === 'APPLY_STATE_APPLIED');
  };
  const run = await eventually('it fires and the run is done', fired, 90);
  assert.ok(run.slotTime.endsWith(':00Z'), run.slotTime);
  await page.reload();
  await view.alive();
  await page.locator('.outcome.good').first().click();
  await page.waitForURL(/\/runs\//);
  await page.getByRole('log').getByText('Write').first().waitFor();
  await page.locator('.run-fact', { hasText: 'Used' }).waitFor();
  await view.close();
});

test('a rule that is none is said to be none', async () => {
  const workspace = await server.newWorkspace('Refused');
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/schedules`);
  await page.getByLabel('What is to be done?').fill('Nothing.');
  await page.getByLabel('When').fill('every day');
  await page.locator('.schedule-preview').getByText('is no rule of five fields').waitFor();
  await page.getByLabel('When').fill('0 0 30 2 *');
  await page.getByText('This never fires.').waitFor();
  await page.getByRole('button', { name: 'Create schedule' }).click();
  await page.locator('.inline-problem-place').getByText('never fires').waitFor();
  await page.getByLabel('When').fill('30 2 * * *');
  await page.getByLabel('Time zone').fill('Europe/Nowhere');
  await page.locator('.schedule-preview').getByText('IANA name').waitFor();
  await view.close();
});

test('a schedule is run now, changed, turned off and deleted', async () => {
  const workspace = await server.newWorkspace('Changes');
  const id = await create(workspace, { cron: '0 3 1 1 *', spec: { prompt: '!bash true' } });
  const view = await openPage(browser, server);
  const { page } = view;
  const address = `${server.url}/workspaces/${workspace}/schedules/${id}`;
  await view.open(address);
  await page.getByText('It has made no runs yet.').waitFor();
  await page.getByRole('button', { name: 'Run now' }).click();
  await page.waitForURL(/\/runs\//);
  await page.locator('.run-head').getByText('Succeeded').waitFor();
  await view.open(address);
  await page.getByText('Change', { exact: true }).click();
  await page.getByLabel('When').fill('15 4 * * *');
  await page.getByText('Name and policies').click();
  await page.getByLabel('Name', { exact: true }).fill('Early');
  await page.getByLabel('While a run is not over').selectOption('queue');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('heading', { name: 'Early' }).waitFor();
  await page.locator('.block').first().getByText('04:15').first().waitFor();
  await page.getByRole('button', { name: 'Turn off' }).click();
  await page.locator('.run-head').getByText('Off', { exact: true }).waitFor();
  assert.equal(await page.locator('.block').first().locator('.fire-times li').count(), 0);
  const { schedule } = await server.rpc('ScheduleService/GetSchedule', {
    workspaceId: workspace, scheduleId: id,
  });
  assert.equal(schedule.overlapPolicy, 'OVERLAP_POLICY_QUEUE');
  assert.equal(schedule.enabled ?? false, false);
  page.once('dialog', (dialog) => dialog.accept());
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.waitForURL(/\/schedules$/);
  await page.getByText('No schedules yet').waitFor();
  await view.close();
});

for (const { name: on, ...options } of looks) {
  test(`schedules are sound on a ${on}`, async () => {
    const problems = [];
    const workspace = await server.newWorkspace('Looks');
    const id = await create(workspace, {
      cron: '30 2 * * *', spec: { prompt: '!bash true' }, title: 'Nightly tidying with a name that is long',
    });
    await create(workspace, { cron: '0 9 * * MON', spec: { prompt: 'Weekly report.' }, enabled: false });
    for (let run = 0; run < 3; run += 1) {
      await server.rpc('ScheduleService/RunSchedule', { workspaceId: workspace, scheduleId: id });
    }
    const view = await openPage(browser, server, options);
    await view.open(`${server.url}/workspaces/${workspace}/schedules`);
    problems.push(...await look(view.page, `schedules-${on}`));
    await view.page.getByText('New schedule').click();
    await view.page.locator('.schedule-preview li').first().waitFor();
    problems.push(...await look(view.page, `schedules-new-${on}`));
    await view.open(`${server.url}/workspaces/${workspace}/schedules/${id}`);
    problems.push(...await look(view.page, `schedule-${on}`));
    await view.close();
    assert.deepEqual(problems, []);
  });
}
