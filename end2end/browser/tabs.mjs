// Several tabs of one browser, and what goes from them to the server.

import { setTimeout as later } from 'node:timers/promises';

import { openPage } from './browser.mjs';
import { eventually } from './server.mjs';
import { SessionView, compareWithLog } from './session_view.mjs';

const WATCH = /EventService\/Watch$/;

export const never = { permissionMode: 'PERMISSION_MODE_BYPASS_PERMISSIONS' };

// What is written when there is no network: by the browser itself, and where a part of the console
// was being fetched ahead.
export const NO_NETWORK = /net::ERR_INTERNET_DISCONNECTED|^error: TypeError: Failed to fetch/;

/** One profile with any number of tabs, of which each watch that is open is known. */
export class Tabs {
  constructor(view, server) {
    this.view = view;
    this.server = server;
    this.context = view.context;
    this.open = new Set();
    this.begun = 0;
    this.context.on('request', (request) => {
      if (!WATCH.test(request.url())) return;
      this.open.add(request);
      this.begun += 1;
    });
    for (const end of ['requestfinished', 'requestfailed']) {
      this.context.on(end, (request) => this.open.delete(request));
    }
  }

  /** Opens a session in a tab of its own, or in one that is given. */
  async openSession({ workspace, id }, page) {
    const tab = page ?? await this.context.newPage();
    tab.setDefaultTimeout(60_000);
    // Nothing tells how the requests of a closed tab ended.
    tab.on('close', () => this.forget(tab));
    tab.on('pageerror', (error) => this.view.note(`page error: ${error.stack ?? error}`));
    await tab.goto(`${this.server.url}/workspaces/${workspace}/sessions/${id}`);
    // Not by frames: a tab that nobody sees draws none.
    await tab.waitForFunction(() => 'alive' in document.documentElement.dataset, null, { polling: 100 });
    return new SessionView({ page: tab });
  }

  /** The tab that holds the one watch. */
  leader(sessions) {
    const [watch] = this.open;
    return sessions.find(({ page }) => page === watch.frame().page());
  }

  /** Waits until exactly one watch is open, and stays so for a while. */
  async settle() {
    let last;
    let since = Date.now();
    await eventually('one watch is open, and no other', () => {
      if (this.begun !== last || this.open.size !== 1) since = Date.now();
      last = this.begun;
      return Date.now() - since > 1_000;
    });
  }

  /** Forgets the requests of a tab that is gone. */
  forget(page) {
    for (const request of this.open) {
      if (request.frame().page() === page) this.open.delete(request);
    }
  }
}

/** Ends a tab as a crash does. */
export async function crash(tabs, page) {
  const gone = new Promise((done) => { page.once('crash', done); });
  page.goto('chrome://crash').catch(() => {});
  await Promise.race([gone, later(5_000)]);
  tabs.forget(page);
}

export async function live({ page }) {
  await page.getByRole('navigation', { name: 'Console' }).getByText('Live', { exact: true }).waitFor();
}

/** Makes so many sessions, in as many workspaces or in fewer. */
export async function sessionsOf(server, count, workspaces = count) {
  const ids = [];
  for (let made = 0; made < workspaces; made += 1) ids.push(await server.newWorkspace(`tabs ${made}`, never));
  const sessions = [];
  for (let made = 0; made < count; made += 1) {
    const workspace = ids[made % workspaces];
    sessions.push({ workspace, id: await server.newSession(workspace) });
  }
  return sessions;
}

/** Opens all of them together, and waits until each is live and nothing more is opened. */
export async function openTabs(browser, server, sessions) {
  const view = await openPage(browser, server);
  const tabs = new Tabs(view, server);
  const open = await Promise.all(sessions.map((session, at) => (
    tabs.openSession(session, at === 0 ? view.page : undefined)
  )));
  await Promise.all(open.map(live));
  await tabs.settle();
  return { view, tabs, open };
}

/** Directions for a turn of some seconds: long enough that it is not over when a slow tab has begun its own. */
export function story(word) {
  return `!chunk-ms 15\n!chunk-chars 8\n!say ${`${word} `.repeat(600).trim()}\n!bash seq 3\n!say The end of ${word}.`;
}

export async function inMidTurn({ page }) {
  await page.locator('.agent-text.open').filter({ hasText: /\w+ \w+ \w+/ }).first().waitFor();
}

/** Begins a turn in each tab, and waits until all are in the middle of theirs. */
export async function beginTurns(open, word) {
  await Promise.all(open.map(async (session, at) => {
    await session.say(story(`${word}${at}`));
    await inMidTurn(session);
  }));
}

export async function endsWell(session, server) {
  await session.turnHasEnded('Done');
  await compareWithLog(session, server);
}

/** How many watches the server has answered, by its log. */
export function watchesBegun(server) {
  return server.log().split('EventService/Watch').length - 1;
}
