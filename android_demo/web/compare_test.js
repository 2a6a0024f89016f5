// Two models side by side, and what is counted as time, in headless Chromium.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {base64, BUILD, choose, page, screenshot, start, texts} from './browser.js';

const fixture = (name) => `${BUILD}fixtures/${name}`;
const isShown = (selector) => page.$eval(selector, (found) => found.checkVisibility());
const upload = (file) => page.$('#other-file').then((input) => input.uploadFile(fixture(file)));

async function compare() {
  await start();
  for (const film of ['star wars', 'fargo', 'alien (']) await choose(film);
  await page.click('#show-compare');
  await page.waitForSelector('#comparison:not([hidden])');
}

test('bytes, times and lists of two models stand side by side', async () => {
  await compare();
  assert.match((await texts('#times'))[0], /^[78]\.\d× smaller$/);
  assert.deepEqual(await texts('#sides h3'), ['MEmCom, int8', 'Full, float32']);
  const captions = await texts('#sides .caption');
  assert.equal(captions.filter((text) => /^\d+ kB with titles$/.test(text)).length, 2);
  assert.equal(captions.filter((text) => /^\d+\.\d\d ms to rank$/.test(text)).length, 2);
  const lists = await page.$$eval('#sides section', (sides) => sides.map((side) => [...side.querySelectorAll('li')]
      .map(({textContent}) => textContent)));
  assert.deepEqual(lists[0].map((text) => text.replace(/, in (both lists|this list only)$/, '')), await texts('#ranking .title'));
  const shared = lists.map((list) => list.filter((text) => text.endsWith(', in both lists')).length);
  assert.equal(shared[0], shared[1]);
  assert.ok(shared[0] > 0, 'two models of the same data agree on some films');
  assert.deepEqual(await texts('#overlap'), [`${shared[0]} of 10 the same`]);
  await screenshot('web-compare');
  await page.keyboard.press('Escape');
  assert.equal(await isShown('#compare'), false);
});

test('a file of any place is compared with, and one that does not rank is said', async () => {
  await compare();
  await upload('clicks.tflite');
  await page.waitForSelector('#compare-failure:not([hidden])');
  assert.match((await texts('#compare-failure'))[0], /^clicks.tflite cannot be used. This model does not rank/);
  assert.equal(await isShown('#comparison'), false);
  await upload('damaged.tflite');
  await page.waitForFunction(() => /damaged/.test(document.querySelector('#compare-failure').textContent));
  await upload('teas.tflite');
  await page.waitForSelector('#comparison:not([hidden])');
  assert.equal(await isShown('#compare-failure'), false);
  assert.deepEqual(await texts('#overlap'), ['0 of 6 the same']);
  assert.match((await texts('#times'))[0], /× larger$/);
});

test('a click model is not compared', async () => {
  await start();
  await page.$('#file').then((input) => input.uploadFile(fixture('clicks.tflite')));
  await page.waitForFunction(() => document.body.dataset.ready === 'clicks.tflite');
  assert.equal(await isShown('#show-compare'), false);
});

test('the first run of a graph is over before any is timed', async () => {
  await start();
  const ran = await page.evaluate(async (ranker, clicks) => {
    const {readModelFile} = await import('/model_file.js');
    const {Ranker} = await import('/ranker.js');
    const {Scorer} = await import('/scorer.js');
    const file = (content) => readModelFile(Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0)));
    const {model} = await Ranker.open(file(ranker));
    const runs = [];
    const prototype = Object.getPrototypeOf(model);
    const {run} = prototype;
    prototype.run = function(signature, ...others) {
      runs.push(signature);
      return run.call(this, signature, ...others);
    };
    await Ranker.open(file(ranker));
    await Scorer.open(file(clicks));
    return runs;
  }, await base64('fixtures/teas.tflite'), await base64('fixtures/clicks.tflite'));
  assert.deepEqual(ran, ['rank', 'score', 'serving_default']);
});
