// What a person does with the page, in headless Chromium.

import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {test} from 'node:test';
import {BUILD, choose, page, screenshot, start, texts} from './browser.js';

test('what is chosen joins the history and the list follows', async () => {
  await start();
  assert.deepEqual(await texts('#heading'), ['To start with']);
  const first = await texts('#ranking .title');
  assert.equal(first.length, 10);
  for (const title of ['star wars', 'fargo', 'alien (']) await choose(title);
  assert.deepEqual(await texts('#history li'), ['Alien (1979)', 'Fargo (1996)', 'Star Wars (1977)']);
  const ranked = await texts('#ranking .title');
  assert.notDeepEqual(ranked, first);
  assert.ok(!ranked.includes('Fargo (1996)'));
  assert.ok((await texts('#ranking .why')).every((why) => /^Because of (Star Wars|Fargo|Alien)|^For what it is/.test(why)));
  assert.match((await texts('#statistics'))[0], /^1,682 titles · \d+ kB · ranked in \d+\.\d\d ms$/);
  await screenshot('web-light');
  for (let left = 3; left > 0; --left) {
    await page.click('#history button');
    await page.waitForFunction((count) => document.querySelectorAll('#history li').length < count, {}, left);
  }
  await page.waitForFunction(() => document.querySelector('#heading').textContent === 'To start with');
  assert.deepEqual(await texts('#ranking .title'), first);
});

test('what is hidden leaves the list until it is undone', async () => {
  await start();
  const all = await texts('#ranking .title');
  const isFirst = (title) => page.waitForFunction(
      (wanted) => document.querySelector('#ranking .title')?.textContent === wanted, {}, title);
  const hide = await page.$('#ranking .hide');
  assert.equal(await hide.evaluate(({ariaLabel}) => ariaLabel), `Hide ${all[0]}`);
  await hide.click();
  await isFirst(all[1]);
  const others = await texts('#ranking .title');
  assert.deepEqual(others.slice(0, 9), all.slice(1));
  assert.equal(new Set(others).size, 10);
  await page.click('#ranking .hide');
  await isFirst(all[2]);
  assert.deepEqual(await texts('#hidden-items span'), [`Hidden: ${all[1]}, ${all[0]}`]);
  const undo = await page.$('#hidden-items button');
  assert.equal(await undo.evaluate(({ariaLabel}) => ariaLabel), `Undo: show ${all[1]} again`);
  await undo.click();
  await isFirst(all[1]);
  await undo.click();
  await isFirst(all[0]);
  assert.deepEqual(await texts('#ranking .title'), all);
  assert.equal(await page.$eval('#hidden-items', ({hidden}) => hidden), true);
});

test('titles that were found alone are ranked', async () => {
  await start();
  const all = await texts('#ranking .title');
  await page.type('#search', 'star wars');
  await page.click('#only-these');
  await page.waitForFunction(() => document.querySelectorAll('#ranking li').length < 10);
  assert.ok((await texts('#ranking .title')).every((title) => /star wars/i.test(title)));
  assert.deepEqual(await texts('#only span'), ['Only titles with “star wars”']);
  await page.click('#only button');
  await page.waitForFunction(() => document.querySelectorAll('#ranking li').length === 10);
  assert.deepEqual(await texts('#ranking .title'), all);
});

test('a ranker with fields ranks by them, beside a history or alone', async () => {
  await start();
  await choose('star wars');
  const input = await page.$('#file');
  for (const name of ['offers', 'today']) {
    await input.uploadFile(`${BUILD}fixtures/${name}.tflite`);
    await page.waitForFunction((file) => document.body.dataset.ready === file, {}, `${name}.tflite`);
    assert.deepEqual(await texts('#query-fields label'), ['weekday', 'flavours', 'age']);
    assert.equal(await page.$('#search').then((box) => box.isVisible()), name === 'offers');
    assert.equal(await page.$('#ranking .add').then((add) => add.isVisible()), name === 'offers');
    const golden = JSON.parse(await readFile(`${BUILD}fixtures/${name}.golden.json`));
    const {row, ids} = golden.cases[0]; // of no history
    await fill(Object.values(row));
    await isRanked(ids);
    if (name === 'today') {
      for (const example of golden.cases) {
        await fill(Object.values(example.row));
        await isRanked(example.ids);
      }
    }
  }
  await fill(['', '', '1e39']);
  await page.waitForFunction(() => /`age` must hold a finite/.test(document.querySelector('#statistics').textContent));
  assert.deepEqual(await texts('#ranking li'), []);
  await page.select('#models', await page.$eval('#models', ({value}) => value));
  await page.waitForFunction(() => document.querySelectorAll('#history li').length === 1);
  assert.deepEqual(await texts('#history li'), ['Star Wars (1977)']);
  assert.deepEqual(await texts('#query-fields label'), []);
});

/** Types texts into the fields of a ranker. */
async function fill(values) {
  for (const [place, field] of (await page.$$('#query-fields input')).entries()) {
    await field.evaluate((filled, text) => {
      filled.value = text;
      filled.dispatchEvent(new Event('input'));
    }, values[place] === null ? '' : String(values[place]));
  }
}

async function isRanked(ids) {
  const found = (wanted) => [...document.querySelectorAll('#ranking li')].map(({dataset}) => dataset.id).join() === wanted;
  await page.waitForFunction(found, {timeout: 5000}, ids.join());
}

test('it is drawn in the dark', async () => {
  await start('dark');
  for (const title of ['star wars', 'fargo', 'alien (']) await choose(title);
  await page.type('#search', 'star');
  await screenshot('web-dark');
});

test('a click model shows its fields, and the probability while one types', async () => {
  await start();
  await choose('star wars');
  const input = await page.$('#file');
  await input.uploadFile(`${BUILD}fixtures/clicks.tflite`);
  await page.waitForFunction(() => document.body.dataset.ready === 'clicks.tflite');
  assert.equal(await page.$('#ranking li').then((row) => row.isVisible()), false);
  assert.deepEqual(await texts('#fields label'), ['tea', 'weekday', 'flavours', 'price', 'age']);
  assert.match((await texts('#row-statistics'))[0], /^5 fields · \d+ kB · scored in \d+\.\d\d ms$/);
  const golden = JSON.parse(await readFile(`${BUILD}fixtures/clicks.golden.json`));
  await probabilityIs(golden.outputs[0]); // of the row without anything
  const fields = await page.$$('#fields input');
  for (const [index, row] of golden.rows.entries()) {
    for (const [place, value] of Object.values(row).entries()) {
      await fields[place].evaluate((field, text) => {
        field.value = text;
        field.dispatchEvent(new Event('input'));
      }, value === null ? '' : String(value));
    }
    await probabilityIs(golden.outputs[index]);
  }
  await fields[3].evaluate((field) => (field.value = ''));
  await fields[3].type('1e39');
  assert.deepEqual(await texts('#probability'), ['–']);
  assert.match((await texts('#row-statistics'))[0], /`price` must hold a finite number/);
  await fields[3].evaluate((field) => (field.value = ''));
  await fields[3].type('-');
  assert.match((await texts('#row-statistics'))[0], /Received: no number/);
  for (const field of fields) await field.evaluate((filled) => (filled.value = ''));
  await fields[3].type('8.5');
  await suggest(fields[2], 'flo', 'floral');
  await suggest(fields[2], '|SMO', 'smoky');
  assert.equal(await fields[2].evaluate(({value}) => value), 'floral|smoky');
  await suggest(fields[0], 'hojicha evening 199', 'Hōjicha, evening 1990', false);
  await screenshot('web-form-light');
  await suggest(fields[0], '0', 'Hōjicha, evening 1990');
  assert.equal(await fields[0].evaluate(({value}) => value), 'Hōjicha, evening 1990');
  await page.select('#models', await page.$eval('#models', ({value}) => value));
  await page.waitForSelector('#ranking li', {visible: true});
  assert.deepEqual(await texts('#history li'), ['Star Wars (1977)']);
});

async function probabilityIs(probability) {
  const wanted = `${(100 * probability).toFixed(1)} %`;
  const found = (text) => document.querySelector('#probability').textContent === text;
  await page.waitForFunction(found, {timeout: 5000}, wanted);
}

/** Types, and takes what is suggested, which must be there. */
async function suggest(field, typed, wanted, taken = true) {
  await field.type(typed);
  for (const option of await page.$$('#fields .matches:not([hidden]) li')) {
    if (await option.evaluate(({textContent}) => textContent) !== wanted) continue;
    if (taken) await option.click();
    return;
  }
  assert.fail(`${wanted} is not among what is suggested for ${typed}`);
}

test('another file opens, and a bad one is said', async () => {
  await start();
  const input = await page.$('#file');
  await input.uploadFile(`${BUILD}fixtures/teas.tflite`);
  await page.waitForFunction(() => document.body.dataset.ready === 'teas.tflite');
  assert.match((await texts('#statistics'))[0], /^40 titles/);
  assert.equal((await texts('#ranking .title')).length, 6);
  const advice = {
    'no_model.tflite': /no TensorFlow Lite file/,
    'cut_off.tflite': /incomplete/,
    'damaged.tflite': /damaged on its way/,
    'later_version.tflite': /Update/,
    'earlier_version.tflite': /An earlier version of memcom/,
    'nameless.tflite': /what its items are called/,
    'titles.tflite': /gives vectors of texts, and neither ranks nor scores rows/,
  };
  for (const [name, expected] of Object.entries(advice)) {
    await input.uploadFile(`${BUILD}fixtures/${name}`);
    await page.waitForFunction((file) => document.querySelector('#failure').textContent.includes(file), {}, name);
    assert.match((await texts('#failure'))[0], expected);
    assert.match((await texts('#statistics'))[0], /^40 titles/);
  }
});
