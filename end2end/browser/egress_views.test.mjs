// The views of what may leave, large and small, light and dark: see views.test.mjs.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { look, looks } from './look.mjs';
import { Server, endAll } from './server.mjs';

let browser;
let server;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
});

after(() => endAll(browser, server));

function newWorkspace(name, egress) {
  return server.newWorkspace(name, { permissionMode: 'PERMISSION_MODE_BYPASS_PERMISSIONS', egress });
}

test('every view of it is sound, large and small, light and dark', async () => {
  const workspace = await newWorkspace('Many ways', {
    mode: 'EGRESS_MODE_LISTED', presets: ['rust'], hosts: ['example.com'],
  });
  const id = await server.newSession(workspace);
  const long = `${'a-very-long-label.'.repeat(8)}example.com`;
  await server.send(id, `!bash for host in one.example ${long}; do curl -sS http://$host/; done; curl -sS http://127.1/`);
  await server.turnEnds(id);
  const empty = await newWorkspace('Empty');
  const views = {
    activity: `/workspaces/${workspace}/activity`,
    'activity-none': `/workspaces/${workspace}/activity?show=limits&host=a.example`,
    'activity-empty': `/workspaces/${empty}/activity`,
    'session-refused': `/workspaces/${workspace}/sessions/${id}`,
    'settings-network': `/workspaces/${workspace}/settings#network`,
  };
  const problems = [];
  for (const { name: on, ...options } of looks) {
    const view = await openPage(browser, server, options);
    for (const [name, path] of Object.entries(views)) {
      await view.open(server.url + path);
      if (name === 'session-refused') await view.page.locator('.egress-line button').nth(1).waitFor();
      problems.push(...await look(view.page, `${name}-${on}`));
    }
    await view.close();
  }
  assert.deepEqual(problems, []);
});
