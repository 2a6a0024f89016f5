// What Python computed, in headless Chromium.

import assert from 'node:assert/strict';
import {readdir, readFile} from 'node:fs/promises';
import {test} from 'node:test';
import {base64, BUILD, page, start} from './browser.js';

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
