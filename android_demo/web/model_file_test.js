// The description of a file is read as the converter's schema specifies it.

import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {test} from 'node:test';
import {
  CATEGORY_FIELDS, EMBEDDING_FIELDS, FIELDS, ModelFileError, RANKER_FIELDS, readDescription, ROW_FIELDS,
} from './model_file.js';

const SCHEMA = JSON.parse(
    await readFile(new URL('../../converters/model_file/description.schema.json', import.meta.url)));

const FIELD = SCHEMA.properties.fields.items;

/** A ranker's description with a value of each required field, and with a field of rows. */
function example() {
  const description = fill(SCHEMA);
  const embeddings = [fill(SCHEMA.properties.embeddings.items)];
  const fields = [fill({...FIELD, required: Object.keys(FIELD.properties)})];
  return {...description, ...fill(SCHEMA.then), kind: 'ranker', embeddings, fields};
}

function fill({properties, required}) {
  return Object.fromEntries(required.map((name) => [name, valueOf(properties[name])]));
}

function valueOf(schema) {
  if ('const' in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return valueOf(schema.anyOf.at(-1));
  const type = [schema.type].flat()[0];
  return {string: 'a', boolean: true, integer: schema.minimum, number: 0.5, array: [], object: {}}[type];
}

const OPTIONAL = ['length', 'separator'];
const read = (description) => readDescription(new TextEncoder().encode(JSON.stringify(description)));

test('a description by the schema is read', () => {
  assert.deepEqual(read(example()), example());
});

test('what is read is what the schema requires, and is refused where it is not so', () => {
  const levels = [
    [FIELDS, SCHEMA, (description) => description],
    [RANKER_FIELDS, SCHEMA.then, (description) => description],
    [EMBEDDING_FIELDS, SCHEMA.properties.embeddings.items, (description) => description.embeddings[0]],
    [ROW_FIELDS, FIELD, (description) => description.fields[0]],
    [CATEGORY_FIELDS, FIELD, (description) => description.fields[0]],
  ];
  for (const [fields, schema, part] of levels) {
    for (const name of Object.keys(fields)) {
      const {minimum, maximum} = schema.properties[name];
      const wrong = [0.5, {a: 1}];
      if (!OPTIONAL.includes(name)) wrong.push(undefined);
      if (schema !== FIELD) assert.ok(schema.required.includes(name), name);
      if (minimum !== undefined) wrong.push(minimum - 1, maximum + 1);
      for (const value of wrong) {
        const description = example();
        part(description)[name] = value;
        assert.throws(() => read(description), ModelFileError, `${name}: ${value}`);
      }
    }
  }
});

test('a ranker may take no history', () => {
  assert.equal(read({...example(), history_length: 0}).history_length, 0);
});

test('fields are a list, and one of numbers has no table', () => {
  for (const fields of [null, {}, [null], [{name: 'age'}], [{...example().fields[0], separator: ''}]]) {
    assert.throws(() => read({...example(), fields}), ModelFileError, JSON.stringify(fields));
  }
  const description = {...example(), fields: [{name: 'age', holds: 'numbers'}]};
  assert.deepEqual(read(description), description);
});

test('a classifier of texts is refused, and it is said what it is', () => {
  const texts = {...example(), kind: 'model', fields: [{...example().fields[0], holds: 'text'}]};
  assert.throws(() => read(texts), (error) => error instanceof ModelFileError && /classifies texts/.test(error.message));
});
