// The description of a file is read as the converter's schema specifies it.

import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {test} from 'node:test';
import {EMBEDDING_FIELDS, FIELDS, ModelFileError, RANKER_FIELDS, readDescription} from './model_file.js';

const SCHEMA = JSON.parse(
    await readFile(new URL('../../converters/model_file/description.schema.json', import.meta.url)));

/** A ranker's description with a value of each required field. */
function example() {
  const description = fill(SCHEMA);
  return {...description, ...fill(SCHEMA.then), kind: 'ranker', embeddings: [fill(SCHEMA.properties.embeddings.items)]};
}

function fill({properties, required}) {
  return Object.fromEntries(required.map((name) => [name, valueOf(properties[name])]));
}

function valueOf(schema) {
  if ('const' in schema) return schema.const;
  if (schema.anyOf) return valueOf(schema.anyOf.at(-1));
  const type = [schema.type].flat()[0];
  return {string: 'a', boolean: true, integer: schema.minimum, number: 0.5, array: [], object: {}}[type];
}

const read = (description) => readDescription(new TextEncoder().encode(JSON.stringify(description)));

test('a description by the schema is read', () => {
  assert.deepEqual(read(example()), example());
});

test('what is read is what the schema requires, and is refused where it is not so', () => {
  const levels = [
    [FIELDS, SCHEMA, (description) => description],
    [RANKER_FIELDS, SCHEMA.then, (description) => description],
    [EMBEDDING_FIELDS, SCHEMA.properties.embeddings.items, (description) => description.embeddings[0]],
  ];
  for (const [fields, schema, part] of levels) {
    for (const name of Object.keys(fields)) {
      assert.ok(schema.required.includes(name), name);
      const {minimum, maximum} = schema.properties[name];
      const wrong = [undefined, 0.5, {a: 1}];
      if (minimum !== undefined) wrong.push(minimum - 1, maximum + 1);
      for (const value of wrong) {
        const description = example();
        part(description)[name] = value;
        assert.throws(() => read(description), ModelFileError, `${name}: ${value}`);
      }
    }
  }
});
