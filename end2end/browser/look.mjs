// How a page looks: a screenshot that is kept, and what is wrong with it.

import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { desktop, phone } from './browser.mjs';
import { end2end } from './server.mjs';

const artefacts = join(end2end, 'artefacts');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Every size and theme in which a view must be sound. */
export const looks = [desktop, phone].flatMap((viewport) => ['light', 'dark'].map((colorScheme) => ({
  name: `${viewport === phone ? 'phone' : 'desktop'}-${colorScheme}`, viewport, colorScheme,
})));

/** Keeps a picture of the page, and answers what a person could not read or reach. */
export async function look(page, name) {
  mkdirSync(artefacts, { recursive: true });
  await page.screenshot({ path: join(artefacts, `${name}.png`) });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  const found = serious.map(({ id, nodes }) => `${id} at ${nodes.map(({ target }) => target).join(', ')}`);
  if (wide > 0) found.push(`${wide} pixels wider than the screen`);
  return found.map((problem) => `${name}: ${problem}`);
}
