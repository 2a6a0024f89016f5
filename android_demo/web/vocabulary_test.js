// The format of converters/VOCABULARY_FORMAT.md: what Python wrote, and what hostile hands did.

import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {test} from 'node:test';
import {fileURLToPath} from 'node:url';
import {VocabularyError} from './sorted_texts.js';
import {Vocabulary} from './vocabulary.js';

const PATH = fileURLToPath(new URL('../../tests/golden/vocabularies.json', import.meta.url));
// 10^18 is a number in the JSON, but no integer to JavaScript: its text is taken before it is parsed.
const golden = JSON.parse((await readFile(PATH, 'utf8')).replaceAll(/^(\s+)(-?\d+)(,?)$/gm, '$1"$2"$3'));
const bytesOf = ({hex}) => Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));

test('what Python wrote is read', () => {
  for (const example of golden.vocabularies) {
    const {name, items, details} = example;
    const vocabulary = new Vocabulary(bytesOf(example));
    assert.equal(vocabulary.fingerprint, example.fingerprint, name);
    assert.equal(vocabulary.firstId, example.first_id, name);
    assert.equal(vocabulary.inputDim, example.first_id + items.length, name);
    assert.equal(vocabulary.size, items.filter((item) => item !== null).length, name);
    items.forEach((item, index) => {
      const id = vocabulary.firstId + index;
      assert.equal(vocabulary.item(id), item, name);
      if (item !== null) assert.equal(vocabulary.id(item), id, `${name}, ${item}`);
    });
    example.unknown.forEach((text) => assert.equal(vocabulary.id(text), undefined, `${name}, ${text}`));
    assert.deepEqual([...vocabulary.details.keys()], Object.keys(details), name);
    for (const [detail, texts] of Object.entries(details)) {
      assert.deepEqual(items.map((_, place) => vocabulary.details.get(detail).get(place)), texts, name);
    }
  }
});

test('what is damaged is refused', () => {
  for (const example of golden.damaged) {
    assert.throws(() => new Vocabulary(bytesOf(example)), VocabularyError, example.name);
  }
});

test('what is read after damage never fails', () => {
  let seed = 1;
  const random = (limit) => (seed = seed * 48271 % 0x7fffffff) % limit;
  let read = 0;
  for (const example of golden.vocabularies) {
    const intact = bytesOf(example);
    for (let round = 0; round < 3000; ++round) {
      const damaged = intact.slice();
      for (let count = random(3); count >= 0; --count) damaged[random(damaged.length)] = random(256);
      let vocabulary;
      try {
        vocabulary = new Vocabulary(damaged);
      } catch (error) {
        if (!(error instanceof VocabularyError)) throw error;
        continue;
      }
      ++read;
      for (let id = vocabulary.firstId; id < vocabulary.inputDim; ++id) {
        assert.equal(typeof vocabulary.title(id) + typeof vocabulary.caption(id), 'stringstring');
      }
      vocabulary.search('a', 5);
    }
  }
  assert.ok(read > 500, String(read));
});

test('titles are found, free ids are not', () => {
  const example = golden.vocabularies.find(({name}) => name === 'holes');
  const vocabulary = new Vocabulary(bytesOf(example));
  assert.deepEqual(vocabulary.search('b', 5), [1]);
  assert.deepEqual(vocabulary.search('', 5), []);
  assert.equal(vocabulary.title(2), '');
});
