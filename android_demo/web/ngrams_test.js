// Texts become the words, the n-grams and the ids that they become in Python.

import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {test} from 'node:test';
import {ModelFileError, readModelFile} from './model_file.js';
import {fnv1a, NgramField, ngramsOf, wordsOf} from './ngrams.js';

const read = (path) => readFile(new URL(`../../${path}`, import.meta.url));
const golden = JSON.parse(await read('tests/golden/ngrams.json'));
const words = JSON.parse(await read('tests/golden/words.json'));
const FIELD = {name: 'title', holds: 'ngrams', length: golden.length, table: 'title', input_dim: golden.num_buckets + 2};

test('texts are cut into the words of Python', () => {
  assert.ok(words.cases.length > 0);
  for (const {name, text, words: expected} of words.cases) assert.deepEqual([...wordsOf(text)], expected, name);
});

test('and into its n-grams, whose ids are the same', () => {
  const field = new NgramField(FIELD);
  assert.ok(golden.cases.length > 0);
  for (const {name, text, ngrams, ids} of golden.cases) {
    assert.deepEqual([...ngramsOf(text)].slice(0, golden.length), ngrams, name);
    const padded = [...ids, ...Array(golden.length - ids.length).fill(0)];
    assert.deepEqual([...field.encode(text)], padded, name);
  }
});

test('hashes are those of Python', () => {
  for (const [text, hash] of Object.entries(golden.hashes)) assert.equal(fnv1a(text), hash, text);
});

test('what is missing has no n-gram, and what is no text is refused', () => {
  const field = new NgramField(FIELD);
  for (const text of [null, undefined, '', '?!', '\ud800']) assert.ok(field.encode(text).every((id) => id === 0));
  assert.throws(() => field.encode(5), {name: 'RangeError', message: 'The field `title` must hold a text. Received: 5.'});
});

test('long texts are cut, and cost no more', () => {
  const field = new NgramField(FIELD);
  assert.deepEqual(field.encode('green tea '.repeat(1e5)), field.encode('green tea '.repeat(9)));
  assert.ok(field.encode('x'.repeat(1e6)).every((id) => id > 1));
});

test('rows of a converted model become what they become in Python', async () => {
  const {texts, description} = readModelFile(new Uint8Array(await read('build/android/fixtures/titles.tflite')));
  const {rows, ids} = JSON.parse(await read('build/android/fixtures/titles.golden.json'));
  assert.ok(rows.length > 0 && description.output_dim > 0);
  rows.forEach(({title}, index) => assert.deepEqual([...texts.encode(title)], ids[index], `row ${index}`));
});

test('n-grams beside other fields are refused, and it is said what they are', async () => {
  const {readDescription} = await import('./model_file.js');
  const description = {format: 'memcom_tf.model', format_version: 2, kind: 'model', signatures: ['serving_default'],
    weights: 'int8', embeddings: [], vocabulary_fingerprint: null, graph_crc32: 7, fields: [FIELD], output_dim: 8};
  const readOf = (changed) => readDescription(new TextEncoder().encode(JSON.stringify({...description, ...changed})));
  assert.deepEqual(readOf({}), description);
  const others = [{output_dim: undefined}, {fields: [FIELD, {name: 'age', holds: 'numbers'}]},
    {kind: 'ranker', k: 1, history_length: 0, embeddings: [{method: 'FullEmbedding', input_dim: 9}]}];
  for (const changed of others) {
    assert.throws(() => readOf(changed), (error) => error instanceof ModelFileError && /n-grams/.test(error.message));
  }
  const damaged = [{output_dim: 0.5}, ...[{input_dim: 2}, {input_dim: undefined}, {length: 0}, {length: 2 ** 16 + 1},
    {name: 5}].map((changed) => ({fields: [{...FIELD, ...changed}]}))];
  for (const changed of damaged) assert.throws(() => readOf(changed), /damaged/, JSON.stringify(changed));
});
