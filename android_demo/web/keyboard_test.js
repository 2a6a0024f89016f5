// The page without a pointer, in headless Chromium.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {BUILD, choose, page, screenshot, start, texts} from './browser.js';

const FILMS = ['star wars', 'fargo', 'alien ('];
const press = async (...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};
const attribute = (selector, name) => page.$eval(selector, (found, wanted) => found.getAttribute(wanted), name);
const focused = () => page.evaluate(() => [document.activeElement.className || document.activeElement.id,
  document.activeElement.closest('#ranking li')?.querySelector('.title').textContent ?? null]);

/** The role and name of what assistive technology finds at a selector. */
async function accessible(selector) {
  const {role, name} = await page.accessibility.snapshot({root: await page.$(selector), interestingOnly: false});
  return [role, name];
}

test('titles that are found are walked through and chosen by keys', async () => {
  await start();
  assert.deepEqual(await accessible('#search'), ['combobox', 'Search titles']);
  assert.equal(await attribute('#search', 'aria-expanded'), 'false');
  await page.type('#search', 'star');
  assert.deepEqual(await accessible('#matches'), ['listbox', 'Titles found']);
  assert.equal(await attribute('#search', 'aria-expanded'), 'true');
  assert.equal(await attribute('#search', 'aria-activedescendant'), '');
  const found = await texts('#matches li > span');
  const selected = () => texts('#matches [aria-selected=true] > span');
  await press('ArrowDown');
  assert.deepEqual(await selected(), [found[0]]);
  assert.equal(await attribute('#search', 'aria-activedescendant'), 'matches-0');
  await press('ArrowDown');
  assert.deepEqual(await selected(), [found[1]]);
  await press('ArrowUp', 'ArrowUp');
  assert.deepEqual(await selected(), [], 'the text itself');
  await press('ArrowUp');
  assert.deepEqual(await selected(), [found.at(-1)]);
  await press('ArrowDown', 'ArrowDown', 'Enter');
  await page.waitForSelector('#history li');
  assert.deepEqual(await texts('#history li'), [found[0]]);
  assert.equal(await page.$eval('#search', ({value}) => value), '');
  assert.deepEqual(await focused(), ['search', null]);
});

test('Escape closes what was found and keeps the text, and an arrow opens it again', async () => {
  await start();
  await page.type('#search', 'star');
  await press('Escape');
  assert.equal(await attribute('#search', 'aria-expanded'), 'false');
  assert.equal(await page.$eval('#search', ({value}) => value), 'star');
  await press('Enter');
  assert.deepEqual(await texts('#history li'), [], 'nothing was chosen');
  await press('ArrowDown');
  assert.equal(await attribute('#search', 'aria-expanded'), 'true');
});

test('a search that finds nothing says so', async () => {
  await start();
  assert.deepEqual(await texts('#no-matches'), ['']);
  await page.type('#search', 'no such film');
  assert.deepEqual(await texts('#no-matches'), ['No title fits.']);
  assert.equal((await accessible('#no-matches'))[0], 'status');
  assert.equal(await attribute('#search', 'aria-expanded'), 'false');
  await press('ArrowDown', 'Enter'); // nothing to choose
  assert.deepEqual(await texts('#history li'), []);
  await page.$eval('#search', (search) => search.select());
  await press('Backspace');
  assert.deepEqual(await texts('#no-matches'), ['']);
});

test('the list is walked through, says why, hides and is left by keys', async () => {
  await start();
  for (const film of FILMS) await choose(film);
  const titles = await texts('#ranking .title');
  await page.focus('#ranking .title');
  assert.deepEqual(await focused(), ['title', titles[0]]);
  await press('ArrowDown', 'ArrowDown', 'ArrowUp');
  assert.deepEqual(await focused(), ['title', titles[1]]);
  await press('End', 'ArrowDown');
  assert.deepEqual(await focused(), ['title', titles.at(-1)]);
  await press('Home', 'ArrowUp');
  assert.deepEqual(await focused(), ['title', titles[0]]);
  await press('Tab', 'Tab');
  assert.deepEqual(await focused(), ['hide', titles[0]], 'Tab stays within the row');
  await press('Home', 'Enter');
  assert.equal(await attribute('#ranking .title', 'aria-expanded'), 'true');
  assert.deepEqual(await accessible('#ranking li .reasons'), ['group', `Why ${titles[0]}`]);
  await press('Escape');
  assert.equal(await attribute('#ranking .title', 'aria-expanded'), 'false');
  await press('ArrowDown', 'Delete');
  const isGone = (title) => ![...document.querySelectorAll('#ranking .title')].some(({textContent}) => textContent === title);
  await page.waitForFunction(isGone, {}, titles[1]);
  assert.deepEqual(await focused(), ['title', titles[2]], 'the focus stays at its place');
  await press('Escape');
  assert.deepEqual(await focused(), ['search', null]);
});

test('why an item is in the list are the shares of the history', async () => {
  await start();
  await page.click('#ranking .title'); // without a history there is nothing to say
  assert.deepEqual(await texts('#ranking .why'), []);
  assert.equal(await attribute('#ranking .title', 'aria-expanded'), null);
  for (const film of FILMS) await choose(film);
  const row = await page.waitForSelector('#ranking li:has(.reason:nth-child(2))');
  await row.$('.title').then((title) => title.click());
  const shown = await page.$$eval('#ranking .reasons:not([hidden]) .reason', (lines) =>
    lines.map((line) => [...line.querySelectorAll('span')].map(({textContent}) => textContent)));
  const shares = shown.map(([, share]) => Number(share.replace(' %', '')));
  assert.ok(Math.abs(shares.reduce((sum, share) => sum + share) - 100) <= 2, String(shares));
  assert.deepEqual(shares, shares.toSorted((a, b) => b - a));
  assert.equal(await row.$eval('.why', ({textContent}) => textContent), `Because of ${shown[0][0]}`);
  await screenshot('web-why');
  await row.$('.title').then((title) => title.click());
  assert.equal(await page.$('#ranking .reasons:not([hidden])'), null);
});

test('categories of a form are chosen by keys', async () => {
  await start();
  await page.$('#file').then((input) => input.uploadFile(`${BUILD}fixtures/clicks.tflite`));
  await page.waitForFunction(() => document.body.dataset.ready === 'clicks.tflite');
  await page.type('#fields div:nth-child(3) input', 'flo');
  assert.equal((await accessible('#fields div:nth-child(3) ul'))[1], 'Values of flavours');
  await press('ArrowDown', 'Enter');
  assert.equal(await page.$eval('#fields div:nth-child(3) input', ({value}) => value), 'floral');
});
