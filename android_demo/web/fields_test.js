// Rows become the inputs that they become in Python, by the rules of converters/VOCABULARY_FORMAT.md.

import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {test} from 'node:test';
import {Fields} from './fields.js';
import {readModelFile} from './model_file.js';
import {VocabularyError} from './sorted_texts.js';

const read = (path) => readFile(new URL(`../../${path}`, import.meta.url));
const golden = JSON.parse(await read('tests/golden/fields.json'));
const bytesOf = ({hex}) => Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
const INTACT = bytesOf(golden);
const FIELDS = new Fields(golden.fields, INTACT);

function assertInputs(fields, row, ids, numbers, name) {
  const inputs = fields.encode(row);
  assert.deepEqual([...inputs.ids], ids, name);
  assert.deepEqual([...inputs.numbers], numbers.map((number) => number ?? NaN), name);
}

test('rows become what they become in Python', () => {
  assert.ok(golden.rows.length > 0);
  for (const {name, row, ids, numbers} of golden.rows) assertInputs(FIELDS, row, ids, numbers, name);
});

test('rows of a converted model too', async () => {
  const {fields} = readModelFile(new Uint8Array(await read('build/android/fixtures/clicks.tflite')));
  const {rows, ids, numbers} = JSON.parse(await read('build/android/fixtures/clicks.golden.json'));
  assert.ok(rows.length > 0);
  rows.forEach((row, index) => assertInputs(fields, row, ids[index], numbers[index], `row ${index}`));
});

test('what is no finite number is refused', () => {
  for (const row of [...golden.refused, {age: true}, {age: -Infinity}, {age: 1n}]) {
    const [[name, value]] = Object.entries(row);
    const message = `The field \`${name}\` must hold a finite number. Received: ${value}.`;
    assert.throws(() => FIELDS.encode(row), {name: 'RangeError', message});
  }
});

test('categories are texts or whole numbers', () => {
  assert.equal(FIELDS.encode({city: 5}).ids[0], 6);
  for (const city of [5.5, true, ['Oslo']]) {
    assert.throws(() => FIELDS.encode({city}), {message: `The field \`city\` must hold a text. Received: ${city}.`});
  }
});

test('what every object has is no value', () => {
  const fields = new Fields([{name: 'constructor', holds: 'numbers'}]);
  assertInputs(fields, {}, [], [null]);
  assertInputs(fields, {constructor: 2}, [], [2]);
});

test('what is damaged is refused', () => {
  for (const example of golden.damaged) {
    assert.throws(() => new Fields(golden.fields, bytesOf(example)), VocabularyError, example.name);
  }
  assert.throws(() => new Fields(golden.fields), VocabularyError);
  const later = INTACT.slice();
  later[4] = 2;
  assert.throws(() => new Fields(golden.fields, later), {later: true});
});

test('fields that are not those of the member are refused', () => {
  const changes = [{input_dim: 9}, {vocabulary_fingerprint: '00'}, {table: 'towns'}, {name: 'home'}];
  for (const change of changes) {
    const [first, ...others] = golden.fields;
    assert.throws(() => new Fields([{...first, ...change}, ...others], INTACT), VocabularyError, JSON.stringify(change));
  }
  assert.throws(() => new Fields([]), VocabularyError);
  assert.throws(() => new Fields([{name: 'age', holds: 'numbers'}], INTACT), VocabularyError);
});

test('a vocabulary without an id of unknown values is refused', async () => {
  const {vocabularies} = JSON.parse(await read('tests/golden/vocabularies.json'));
  const smallest = vocabularies.find(({name}) => name === 'smallest');
  const fieldsOf = (policy, inputDim) => {
    const vocabulary = bytesOf(smallest);
    vocabulary[41] = policy;
    const head = [...new TextEncoder().encode('MFLD'), 1, 0, 0, 0, 1, 0, 0, 0, vocabulary.length, 0, 0, 0];
    const described = {name: 'a', holds: 'categories', table: 'a', input_dim: inputDim,
      vocabulary_fingerprint: smallest.fingerprint};
    return new Fields([described], Uint8Array.from([...head, ...vocabulary]));
  };
  assert.throws(() => fieldsOf(0, 2), VocabularyError);
  assert.equal(fieldsOf(2, 3).slots, 1);
});

test('what is read after damage never fails', () => {
  let seed = 1;
  const random = (limit) => (seed = seed * 48271 % 0x7fffffff) % limit;
  let found = 0;
  for (let round = 0; round < 5000; ++round) {
    const damaged = INTACT.slice(0, random(2) ? undefined : random(INTACT.length));
    for (let count = random(3); count > 0 && damaged.length > 0; --count) damaged[random(damaged.length)] = random(256);
    let fields;
    try {
      fields = new Fields(golden.fields, damaged);
    } catch (error) {
      if (!(error instanceof VocabularyError)) throw error;
      continue;
    }
    ++found;
    fields.encode({city: 'Oslo', tags: 'red|blue'});
  }
  assert.ok(found > 500, String(found));
});
