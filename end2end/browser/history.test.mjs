// A session with ten thousand events: what is far from the reader is not in the document, and yet
// everything is found, in order, and nothing jumps.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser, openPage, phone } from './browser.mjs';
import { Server, end2end, endAll, eventually, here } from './server.mjs';
import { SessionView } from './session_view.mjs';

const TURNS = 20;
const CALLS = 250;
// Elements of the whole page, wherever the reader is.
const MOST_ELEMENTS = 9_000;

let browser;
let server;
let address;
let last;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  const workspace = await server.newWorkspace('A long story', {
    permissionMode: 'PERMISSION_MODE_BYPASS_PERMISSIONS',
  });
  const id = await server.newSession(workspace);
  const writes = [join(here, 'long_session.py'), join(server.data, 'membrane.db'), id, TURNS, CALLS];
  last = Number(execFileSync('python3', writes.map(String), { encoding: 'utf8' }));
  address = `${server.url}/workspaces/${workspace}/sessions/${id}`;
  assert.ok(last >= 10_000, `only ${last} events`);
});

after(() => endAll(browser, server));

async function open(hash = '', options = {}) {
  const view = await openPage(browser, server, options);
  await view.open(address + hash);
  return { view, page: view.page, session: new SessionView(view) };
}

/** What of the transcript is in sight, and how large the document is. */
function look(page) {
  return page.evaluate(() => {
    const scroller = document.querySelector('.scroller');
    const { top, bottom } = scroller.getBoundingClientRect();
    const entries = [...document.querySelectorAll('.entry')];
    const seen = entries.filter((entry) => {
      const box = entry.getBoundingClientRect();
      return box.bottom > top && box.top < bottom;
    });
    return {
      elements: document.querySelectorAll('*').length,
      seen: seen.map(({ id }) => Number(id.slice(1))),
      all: entries.map(({ id }) => Number(id.slice(1))),
      first: seen[0] && [seen[0].id, Math.round(seen[0].getBoundingClientRect().top - top)],
      top: scroller.scrollTop,
      rest: scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight,
    };
  });
}

function isSound({ all, elements }) {
  assert.deepEqual(all, [...all].sort((a, b) => a - b), 'out of order');
  assert.equal(new Set(all).size, all.length, 'something is there twice');
  assert.ok(elements < MOST_ELEMENTS, `${elements} elements are in the document`);
}

/** Scrolls up until nothing older is left, and answers the largest document on the way. */
async function toTheTop(page) {
  let largest = 0;
  await eventually('the beginning is seen', async () => {
    const now = await look(page);
    isSound(now);
    largest = Math.max(largest, now.elements);
    if (now.seen.includes(1)) return true;
    await page.evaluate(() => { document.querySelector('.scroller').scrollTop = 0; });
    await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
    return false;
  }, 90, 50);
  return largest;
}

test('a reader scrolls to the very beginning and back', async () => {
  const { view, page, session } = await open();
  await session.agentText().last().getByText('End of chapter 20.').waitFor();
  await eventually('the end is seen', async () => (await look(page)).rest < 5);
  const largest = await toTheTop(page);
  await page.locator('.agent-text').getByText('Chapter 1:').waitFor();
  assert.ok(largest < MOST_ELEMENTS);
  // Everything is here now, and each entry is seen on the way back, in order.
  const seen = await page.evaluate(async () => {
    const scroller = document.querySelector('.scroller');
    const { top, bottom } = scroller.getBoundingClientRect();
    const found = [];
    for (let rest = 1; rest > 0;) {
      await new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); });
      const sight = [...document.querySelectorAll('.entry')].filter((entry) => {
        const box = entry.getBoundingClientRect();
        return box.bottom > top && box.top < bottom;
      });
      if (sight.length === 0) continue;
      for (const { id } of sight) if (!found.includes(id)) found.push(id);
      rest = Math.floor(scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight);
      scroller.scrollTop += scroller.clientHeight * 0.7;
    }
    return found.map((id) => Number(id.slice(1)));
  });
  assert.deepEqual(seen, [...seen].sort((one, other) => one - other), 'out of order');
  // A call is an entry, and so are a message, two sayings and an end in each turn.
  assert.equal(seen.length, TURNS * (CALLS + 4));
  await view.close();
});

test('what a reader looks at stays where it is while older history comes in', async () => {
  const { view, page } = await open();
  await page.locator('.entry').last().waitFor();
  let page_ = 0;
  await page.route(/ListEvents$/, async (route) => {
    page_ += 1;
    await route.continue();
  });
  for (let turns = 0; turns < 40 && page_ < 3; turns += 1) {
    await page.evaluate(() => { document.querySelector('.scroller').scrollTop -= 600; });
    // Where nothing was drawn yet there is nothing that could jump. A script can see what was changed and
    // is put right before it is painted, which no reader sees.
    const before = await eventually('something is in sight', async () => {
      const [one, other] = [await look(page), await page.waitForTimeout(50).then(() => look(page))];
      return one.first && `${one.first}` === `${other.first}` && other;
    });
    await page.waitForTimeout(150);
    const now = await look(page);
    const [id, top] = before.first;
    const moved = await page.evaluate(([name, from]) => {
      const scroller = document.querySelector('.scroller').getBoundingClientRect().top;
      return Math.abs(document.getElementById(name).getBoundingClientRect().top - scroller - from);
    }, [id, top]);
    assert.ok(moved <= 2, `${id} moved by ${moved} pixels`);
    isSound(now);
  }
  assert.ok(page_ >= 2, 'nothing older was loaded');
  await view.close();
});

for (const [size, viewport] of Object.entries({ desktop: undefined, phone })) {
  test(`an event has an address, on a ${size}`, async () => {
    const { view, page } = await open('#e1235', viewport ? { viewport, colorScheme: 'dark' } : {});
    const marked = page.locator('.entry.marked');
    await marked.waitFor({ timeout: 30_000 });
    await eventually('it is in sight', async () => {
      const name = await marked.getAttribute('id');
      const now = await look(page);
      isSound(now);
      return now.seen.includes(Number(name.slice(1)));
    });
    mkdirSync(join(end2end, 'artefacts'), { recursive: true });
    await page.screenshot({ path: join(end2end, 'artefacts', `history-${size}.png`) });
    // The event is the answer to a call, and the call is what is marked.
    const marks = await marked.locator('.tool-argument').innerText();
    assert.match(marks, /^turn3-call\d+$/);
    assert.ok(await marked.evaluate((entry) => entry === document.activeElement));
    await view.close();
  });
}

test('who reads history is not moved by what is new, and is told of it', async () => {
  const { view, page, session } = await open();
  await page.locator('.entry').last().waitFor();
  await page.evaluate(() => { document.querySelector('.scroller').scrollTop -= 3_000; });
  await eventually('it is scrolled', async () => (await look(page)).rest > 2_000);
  await page.waitForTimeout(300);
  const before = await look(page);
  await server.send(session.id(), '!say Something new.');
  await page.getByRole('button', { name: 'New activity' }).waitFor();
  const now = await look(page);
  assert.deepEqual(now.first, before.first);
  await page.getByRole('button', { name: 'New activity' }).click();
  await session.turnHasEnded('Done');
  await eventually('the end is seen', async () => (await look(page)).rest < 5);
  await view.close();
});

test('what is selected or opened stays in the document', async () => {
  const { view, page } = await open();
  const card = page.locator('details.tool').last();
  await card.locator('summary').click();
  const name = await card.locator('xpath=ancestor::*[@id][1]').getAttribute('id');
  const words = page.locator('.agent-text').last();
  const said = (await words.textContent()).trim();
  assert.ok(said);
  await words.selectText();
  await toTheTop(page);
  assert.ok(await page.locator(`#${name} details[open]`).count());
  assert.equal((await page.evaluate(() => getSelection().toString())).trim(), said);
  await view.close();
});
