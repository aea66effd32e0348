// Files that try to act as the console: none of them runs anything, frames anything, goes anywhere
// or asks anybody, whether they are shown or opened by themselves.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, openPage } from './browser.mjs';
import { Server, endAll } from './server.mjs';
import { write } from './tree.mjs';

const FOREIGN = 'http://foreign.invalid/';
const script = `<script>globalThis.hacked = 1; fetch('${FOREIGN}run'); parent.location = '${FOREIGN}go'</script>`;
const markup = `${script}<img src=x onerror="alert(1)"><iframe src="${FOREIGN}frame"></iframe>`
  + `<meta http-equiv=refresh content="0;url=${FOREIGN}refresh"><form action="${FOREIGN}"><input autofocus onfocus="alert(2)">`;
const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" onload="alert(3)">${script}`
  + `<image href="${FOREIGN}image"/><foreignObject><body xmlns="http://www.w3.org/1999/xhtml">`
  + `<iframe src="javascript:alert(4)"></iframe></body></foreignObject><circle r="9"/></svg>`;
const markdown = `# Title\n\n${markup}\n\n![a](${FOREIGN}md.png) ![b](data:text/html,${script}) [c](javascript:alert(5)) `
  + `![d](evil.svg) <a href="javascript:alert(6)">e</a>\n\n| "><img src=x onerror=alert(7)> |\n|---|\n`;
const output = (data) => ({ output_type: 'display_data', data });
const notebook = JSON.stringify({
  nbformat: 4,
  metadata: { language_info: { name: '"><script>alert(8)</script>' } },
  cells: [
    { cell_type: 'markdown', source: markdown },
    {
      cell_type: 'code', source: markup, outputs: [
        output({ 'text/html': markup }), output({ 'image/svg+xml': svg }),
        output({ 'application/javascript': 'alert(9)' }), output({ 'text/plain': markup }),
        output({ 'image/png': Buffer.from(svg).toString('base64') }),
        { output_type: 'error', ename: markup, evalue: markup, traceback: [markup] },
      ],
    },
  ],
});
const action = `/OpenAction << /S /JavaScript /JS (app.alert\\(10\\); app.launchURL\\("${FOREIGN}pdf", true\\)) >>`;
const pdf = `%PDF-1.4\n1 0 obj << /Type /Catalog /Pages 2 0 R ${action} >> endobj\n`
  + '2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj\n'
  + '3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] >> endobj\ntrailer << /Root 1 0 R >>\n';
const files = {
  'evil.html': markup, 'evil.svg': svg, 'evil.md': markdown, 'evil.ipynb': notebook, 'evil.pdf': pdf,
  'evil.csv': `${markup},=cmd()\n"${script.replaceAll('"', '""')}"\n`, 'evil.js': `alert(11) // ${markup}`,
};

let browser;
let server;
let workspace;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  workspace = await server.newWorkspace('Hostile');
  for (const [name, content] of Object.entries(files)) await write(server, workspace, name, content);
});

after(() => endAll(browser, server));

/** A page, and what it did that no file may make it do. */
async function watched() {
  const view = await openPage(browser, server);
  const misdeeds = [];
  const { context, page } = view;
  // What the policy stops is never sent.
  const ended = (request) => {
    const own = request.url().startsWith(server.url) || /^(data|blob|about|chrome|chrome-extension):/.test(request.url());
    if (!own && request.failure()?.errorText !== 'csp') misdeeds.push(`asked for ${request.url()}`);
  };
  context.on('requestfinished', ended);
  context.on('requestfailed', ended);
  context.on('dialog', async (dialog) => {
    misdeeds.push(`said ${dialog.message()}`);
    await dialog.dismiss();
  });
  return { view, page, misdeeds };
}

/** What the page has become. */
async function look(page, misdeeds, address) {
  if (page.url() !== address) misdeeds.push(`went to ${page.url()}`);
  const hacked = await page.evaluate(() => 'hacked' in globalThis);
  if (hacked) misdeeds.push('ran something');
}

for (const name of Object.keys(files)) {
  test(`${name} does nothing where it is shown`, async () => {
    const { view, page, misdeeds } = await watched();
    for (const query of ['', '?view=source']) {
      const address = `${server.url}/workspaces/${workspace}/files/${name}${query}`;
      await page.goto('about:blank');
      await view.open(address);
      await look(page, misdeeds, address);
      const foreign = await page.locator('.file-view').evaluate((shown) => {
        const wrong = 'script, iframe, object, embed, form, input, meta, svg [onload], [onerror], [onfocus]';
        return shown.querySelectorAll(wrong).length;
      });
      assert.equal(foreign, 0, query);
    }
    assert.deepEqual(misdeeds, []);
    await view.close();
  });

  test(`${name} does nothing where it is opened by itself`, async () => {
    const { view, page, misdeeds } = await watched();
    const address = `${server.url}/workspaces/${workspace}/files/raw?path=${name}`;
    // What can run is saved and not opened.
    const opened = await page.goto(address).then(() => true, (error) => {
      assert.match(error.message, /Download is starting|ERR_ABORTED|ERR_BLOCKED/);
      return false;
    });
    if (opened && name !== 'evil.pdf') await look(page, misdeeds, address);
    // A browser's own viewer runs a document's words in a tab of theirs, away from the console; that
    // is why the console frames none.
    assert.deepEqual(misdeeds.filter((misdeed) => !(name === 'evil.pdf' && misdeed === 'said 10')), []);
    // The browser asks for an icon, which is not there, whenever it likes.
    await view.close(/Content Security Policy|sandbox|ERR_|status of 404/);
  });
}
