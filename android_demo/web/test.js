// The page in headless Chromium: the golden values of every model, and what a person does.

import assert from 'node:assert/strict';
import {mkdir, readdir, readFile} from 'node:fs/promises';
import {after, before, test} from 'node:test';
import {fileURLToPath} from 'node:url';
import puppeteer from 'puppeteer-core';
import {serve} from './serve.js';

const BUILD = fileURLToPath(new URL('../../build/android/', import.meta.url));
let server;
let browser;
let page;

before(async () => {
  server = await serve(0);
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  });
});

after(async () => {
  await browser?.close();
  server?.close();
});

async function start(colors = 'light') {
  await page?.close();
  page = await browser.newPage();
  page.on('pageerror', (error) => assert.fail(error));
  await page.setViewport({width: 760, height: 1040, deviceScaleFactor: 1});
  await page.emulateMediaFeatures([{name: 'prefers-color-scheme', value: colors}]);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForSelector('#ranking li');
}

const texts = (selector) => page.$$eval(selector, (found) => found.map(({textContent}) => textContent));

async function choose(title) {
  const before = await texts('#history li');
  await page.type('#search', title);
  await page.click('#matches button');
  await page.waitForFunction((count) => document.querySelectorAll('#history li').length > count, {}, before.length);
}

async function screenshot(name) {
  await mkdir(`${BUILD}screenshots`, {recursive: true});
  await page.screenshot({path: `${BUILD}screenshots/${name}.png`});
}

test('every model answers the golden values', async () => {
  await start();
  const models = (await readdir(`${BUILD}models`)).filter((name) => name.endsWith('.tflite'));
  assert.ok(models.length > 0);
  // Of a history; of a history and fields; of fields, some of which the graph does not take.
  const fixtures = ['teas.tflite', 'offers.tflite', 'today.tflite'];
  for (const model of [...models.map((file) => `models/${file}`), ...fixtures.map((file) => `fixtures/${file}`)]) {
    const golden = JSON.parse(await readFile(`${BUILD}${model.replace('.tflite', '.golden.json')}`));
    const found = await page.evaluate(answers, await base64(model), golden);
    compare(`${model}: vectors`, golden.embed.vectors.flat(), found.vectors, golden.tolerance);
    golden.cases.forEach((example, index) => {
      const case_ = found.cases[index];
      compare(`${model} ${index}: candidates`, example.candidate_scores, case_.candidateScores, golden.tolerance);
      compareLists(`${model}, case ${index}`, example, case_, golden.tolerance);
    });
    assert.ok(golden.lists.some(({candidates}) => candidates) && golden.lists.some(({exclude}) => exclude.length > 2));
    golden.lists.forEach((example, index) => {
      compareLists(`${model}, list ${index}`, example, found.lists[index], golden.tolerance);
    });
  }
});

const base64 = (path) => readFile(`${BUILD}${path}`, 'base64');

function compareLists(what, expected, {ids, scores}, tolerance) {
  compare(`${what}: scores`, expected.scores, scores, tolerance);
  ids.forEach((id, place) => {
    // Equal scores may change places, nothing else.
    const score = expected.scores[expected.ids.indexOf(id)];
    const tied = Math.abs(score - expected.scores[place]) <= allowed(expected.scores, tolerance);
    assert.ok(id === expected.ids[place] || tied, `${what}: ${ids}, not ${expected.ids}`);
  });
}

/** In the page: what the golden values are compared with. */
async function answers(content, golden) {
  const {readModelFile} = await import('/model_file.js');
  const {Ranker} = await import('/ranker.js');
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const ranker = await Ranker.open(readModelFile(bytes));
  const cases = [];
  for (const {history, row, candidates} of golden.cases) {
    const list = await ranker.rank({history, row});
    cases.push({...list, candidateScores: await ranker.score(candidates, history, row)});
  }
  const lists = [];
  for (const {history, row, k, exclude, candidates} of golden.lists) {
    lists.push(await ranker.rank({history, row, k, exclude, candidates}));
  }
  const vectors = await ranker.vectors(golden.embed.ids);
  ranker.close();
  return {vectors, cases, lists};
}

test('rankers of another query than they say are refused, and an input that is no field is named', async () => {
  await start();
  const refused = {
    offers_by_hour: /also ranks by “hour”.*from Python alone/,
    offers_without_history: /also ranks by “history”/,
    offers_of_longer_history: /another query/,
    offers_of_more_fields: /another query/,
    today_with_history: /another query/,
  };
  for (const [name, message] of Object.entries(refused)) {
    const content = await base64(`fixtures/${name}.tflite`);
    await assert.rejects(page.evaluate(answers, content, {}), message, name);
  }
});

test('a click model answers the golden values', async () => {
  await start();
  const golden = JSON.parse(await readFile(`${BUILD}fixtures/clicks.golden.json`));
  const bytes = [...await readFile(`${BUILD}fixtures/clicks.tflite`)];
  const found = await page.evaluate(probabilities, bytes, golden.rows);
  compare('clicks', golden.outputs, found, golden.tolerance);
});

test('a graph of other rows is refused', async () => {
  await start();
  const bytes = [...await readFile(`${BUILD}fixtures/clicks_of_fewer_fields.tflite`)];
  await assert.rejects(page.evaluate(probabilities, bytes, []), /other rows than the file says/);
});

/** In the page: what a model of rows says of them. */
async function probabilities(bytes, rows) {
  const {readModelFile} = await import('/model_file.js');
  const {Scorer} = await import('/scorer.js');
  const scorer = await Scorer.open(readModelFile(Uint8Array.from(bytes)));
  const found = [];
  for (const row of rows) found.push(await scorer.score(row));
  return found;
}

test('vectors of texts are those of Python', async () => {
  await start();
  const golden = JSON.parse(await readFile(`${BUILD}fixtures/titles.golden.json`));
  const found = await page.evaluate(vectorsOf, await base64('fixtures/titles.tflite'), golden.rows.map(({title}) => title));
  compare('titles', golden.outputs.flat(), found.flat(), golden.tolerance);
  assert.ok(new Set(found.map(String)).size > found.length / 2);
});

test('a graph of other texts, and a model of none, are refused', async () => {
  await start();
  const refused = {titles_of_fewer_ngrams: /other texts/, titles_of_wider_vectors: /other texts/, clicks: /no vectors of texts/};
  for (const [name, message] of Object.entries(refused)) {
    await assert.rejects(page.evaluate(vectorsOf, await base64(`fixtures/${name}.tflite`), ['tea']), message, name);
  }
});

/** In the page: vectors of texts. */
async function vectorsOf(content, texts) {
  const {readModelFile} = await import('/model_file.js');
  const {TextVectors} = await import('/text_vectors.js');
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const model = await TextVectors.open(readModelFile(bytes));
  const found = [];
  for (const text of texts) found.push([...await model.vectorOf(text)]);
  model.close();
  return found;
}

function compare(what, expected, found, tolerance) {
  assert.equal(found.length, expected.length, what);
  expected.forEach((value, index) => {
    assert.ok(Math.abs(value - found[index]) <= allowed(expected, tolerance), `${what} ${index}: ${found[index]}, not ${value}`);
  });
}

function allowed(expected, tolerance) {
  return tolerance * Math.max(1, ...expected.map(Math.abs));
}

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
  assert.ok((await texts('#ranking .why')).every((why) => /Star Wars|Fargo|Alien/.test(why)));
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
  for (const button of await page.$$('#fields .matches:not([hidden]) button')) {
    if (await button.evaluate(({textContent}) => textContent) !== wanted) continue;
    if (taken) await button.click();
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
    'later_version.tflite': /Update/,
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
