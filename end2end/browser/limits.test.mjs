// Limits: set in plain words, seen in a session's head, and met in a card.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { look, looks } from './look.mjs';
import { Server, endAll } from './server.mjs';
import { SessionView } from './session_view.mjs';

// What a program asks inside, once.
const ask = [
  '!bash <<SCRIPT',
  'python3 - <<PROGRAM',
  'import json, os, urllib.request',
  'body = {"model": "scripted", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}',
  'for _ in range(3):',
  '    request = urllib.request.Request(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", json.dumps(body).encode(), {"x-api-key": os.environ["ANTHROPIC_API_KEY"]})',
  '    print(urllib.request.urlopen(request).status)',
  'PROGRAM',
  'SCRIPT',
];

let browser;
let server;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
});

after(() => endAll(browser, server));

test('limits, models and access are saved as they are written', async () => {
  const workspace = await server.newWorkspace('limited');
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/settings`);
  await page.getByLabel('US dollars').fill('2.5');
  await page.getByLabel('Tokens', { exact: true }).fill('300000');
  await page.getByLabel('Model requests').fill('40');
  await page.getByLabel('Allowed models').fill('scripted\n\n another-model ');
  await page.getByLabel('Let programs inside call the model').check();
  await save(page);
  await page.reload();
  await view.alive();
  assert.equal(await page.getByLabel('US dollars').inputValue(), '2.5');
  assert.equal(await page.getByLabel('Allowed models').inputValue(), 'scripted\nanother-model');
  const { settings } = (await server.rpc('WorkspaceService/GetWorkspace', { workspaceId: workspace })).workspace;
  assert.deepEqual(settings.limits, { maxCostMicroUsd: '2500000', maxTokens: '300000', maxRequests: '40' });
  assert.deepEqual(settings.allowedModels, ['scripted', 'another-model']);
  assert.equal(settings.modelAccess, true);

  await page.getByLabel('Allowed models').fill('another-model');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText(/must be one of the allowed models/).waitFor();
  await page.getByLabel('Allowed models').fill('');
  await page.getByLabel('US dollars').fill('');
  await page.getByLabel('Let programs inside call the model').uncheck();
  await save(page);
  const after = (await server.rpc('WorkspaceService/GetWorkspace', { workspaceId: workspace })).workspace;
  assert.deepEqual(after.settings.limits, { maxTokens: '300000', maxRequests: '40' });
  assert.equal(after.settings.allowedModels, undefined);
  assert.equal(after.settings.modelAccess, undefined);
  await view.close();
});

test('a session shows what is used, what programs asked, and the limit that was met', async () => {
  const workspace = await server.newWorkspace('metered', {
    permissionMode: 'PERMISSION_MODE_BYPASS_PERMISSIONS',
    limits: { maxRequests: 5, maxCostMicroUsd: 1_000_000 },
    modelAccess: true,
  });
  const session = await server.newSession(workspace);
  const view = await openPage(browser, server);
  const { page } = view;
  await view.open(`${server.url}/workspaces/${workspace}/sessions/${session}`);
  const shown = new SessionView(view);
  await shown.say(ask.join('\n'));
  await shown.turnHasEnded('Done');
  await page.getByText(/Programs in the sandbox made 3 model requests to scripted: .* tokens, \$0\.00\./).waitFor();
  await page.locator('.head-share', { hasText: '100 % of limit' }).waitFor();
  const title = await page.locator('.head-cost').getAttribute('title');
  assert.match(title, /\$0\.00 of \$1\.00, 5 of 5 requests/);

  await shown.say('!say Once more.');
  await shown.turnHasEnded('Limit reached');
  const card = page.getByRole('region', { name: "The session's limit of model requests is met" });
  await card.getByText(/may make 5 model requests/).waitFor();
  assert.equal(await card.getByRole('link', { name: 'Change the limits' }).getAttribute('href'),
    `/workspaces/${workspace}/settings#limits-heading`);
  await view.close();

  const problems = [];
  for (const { name, ...options } of looks) {
    const other = await openPage(browser, server, options);
    await other.open(`${server.url}/workspaces/${workspace}/sessions/${session}`);
    await other.page.locator('.limit-card').waitFor();
    problems.push(...await look(other.page, `limit-${name}`));
    await other.open(`${server.url}/workspaces/${workspace}/settings`);
    await other.page.locator('#limits-heading').scrollIntoViewIfNeeded();
    await other.page.getByLabel('Let programs inside call the model').scrollIntoViewIfNeeded();
    problems.push(...await look(other.page, `limits-${name}`));
    await other.close();
  }
  assert.deepEqual(problems, []);
});

async function save(page) {
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved. It holds from the next turn on.').waitFor();
}
