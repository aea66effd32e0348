// The README's tour on a small project: say what to do, answer a question, review, look at the
// files. The pictures of it are the README's own (`make screenshots` puts them there).

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { join } from 'node:path';

import { openBrowser, openPage, phone } from './browser.mjs';
import { look } from './look.mjs';
import { ScriptedModel, Server, endAll, here } from './server.mjs';
import { SessionView } from './session_view.mjs';
import { write } from './tree.mjs';

const key = 'canary-of-the-tour';

const project = {
  'README.md': '# Invoices\n\n`bin/total FILE` prints the total of an invoice: lines of name, count and price.\n\n```sh\nbin/total tests/small.csv\n```\n',
  'bin/total': [
    '#!/bin/sh', '# Prints the total of an invoice.', 'set -eu', '', 'awk -F, \'',
    '  { total += $2 * $3 }', '  END { printf "%d\\n", total }', '\' "$1"', '',
  ].join('\n'),
  'bin/check': [
    '#!/bin/sh', '# Says which lines of an invoice are not well formed.', 'set -eu', '', 'awk -F, \'',
    '  NF != 3 { printf "%s:%d: %d fields\\n", FILENAME, FNR, NF; bad = 1 }', '  END { exit bad }', '\' "$@"', '',
  ].join('\n'),
  'docs/format.md': '# The format\n\nA line for each article: name, count, price.\n',
  'tests/small.csv': 'pencil,5,0.50\npaper,2,2.50\n',
  'tests/large.csv': 'desk,2,500.00\nchair,3,78.1866667\n',
  'tests/empty.csv': '',
  'tests/run.sh': [
    '#!/bin/sh', '# Compares totals with what they should be.', 'set -u', 'passed=0', 'failed=0', '', 'expect() {',
    '  if [ "$(sh bin/total "tests/$1.csv")" = "$2" ]; then passed=$((passed + 1)); echo "ok $1"',
    '  else failed=$((failed + 1)); echo "FAILED $1"', '  fi', '}', '',
    'expect small 7.50', 'expect large 1234.56', 'expect empty 0.00',
    'echo "$passed passed, $failed failed"', '[ "$failed" -eq 0 ]', '',
  ].join('\n'),
};

let browser;
let model;
let server;
let workspace;

before(async () => {
  model = await ScriptedModel.start(key, join(here, 'tour.json'));
  server = await Server.start('--egress-allow-private', '127.0.0.1');
  browser = await openBrowser();
  workspace = await server.newWorkspace('Invoices', {
    provider: 'PROVIDER_CUSTOM', baseUrl: model.url, model: 'scripted',
    permissionMode: 'PERMISSION_MODE_ACCEPT_EDITS',
  });
  await server.rpc('WorkspaceService/SetProviderKey', { workspaceId: workspace, provider: 'PROVIDER_CUSTOM', key });
  for (const [path, content] of Object.entries(project)) await write(server, workspace, path, content);
});

after(() => endAll(browser, server, model));

test('the tour of the README is as it says', async () => {
  const view = await openPage(browser, server, { colorScheme: 'light' });
  const { page } = view;
  const problems = [];
  const picture = async (name) => problems.push(...await look(page, `tour-${name}`));
  const id = await server.newSession(workspace);
  const session = `/workspaces/${workspace}/sessions/${id}`;

  await view.open(server.url + session);
  const talk = new SessionView(view);
  await talk.say('The total of an invoice loses its cents. Mend it, and run the tests.');
  await talk.approval().waitFor();
  await talk.output(talk.tool('Edit'));
  await page.evaluate(() => document.querySelector('.scroller').scrollTo(0, 1e6));
  await page.mouse.move(0, 0);
  await page.evaluate(() => Promise.all(document.getAnimations()
    .filter(({ effect }) => Number.isFinite(effect.getComputedTiming().endTime)).map(({ finished }) => finished)));
  await picture('question');
  await talk.allow();
  await talk.turnHasEnded('Done');
  await talk.agentText().last().getByText('All three tests pass.').waitFor();
  assert.match(await talk.output(talk.tool('Bash')), /3 passed, 0 failed/);

  await page.getByRole('link', { name: 'Review changes' }).click();
  await page.getByText('Amounts have cents.').waitFor();
  await page.getByRole('button', { name: 'Side by side' }).or(page.getByRole('link', { name: 'Side by side' })).click();
  await picture('changes');
  await view.close();

  const dark = await openPage(browser, server, { colorScheme: 'dark' });
  await dark.open(`${server.url}/workspaces/${workspace}/files/tests/run.sh`);
  await dark.page.getByText('Compares totals').waitFor();
  problems.push(...await look(dark.page, 'tour-files'));
  await dark.close();

  const small = await openPage(browser, server, { viewport: phone, colorScheme: 'dark' });
  await small.open(server.url + session);
  await new SessionView(small).agentText().last().getByText('All three tests pass.').waitFor();
  problems.push(...await look(small.page, 'tour-phone'));
  await small.close();
  assert.deepEqual(problems, []);
});
