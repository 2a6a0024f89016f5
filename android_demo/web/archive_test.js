// What is read of the archive at the end of a model file.

import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {test} from 'node:test';
import {crc32, graphBytesOf} from './archive.js';
import {ModelFileError, readModelFile} from './model_file.js';

const TEAS = new Uint8Array(await readFile(new URL('../../build/android/fixtures/teas.tflite', import.meta.url)));

test('checksums are those of zip', () => {
  assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926);
  assert.equal(crc32(new Uint8Array(0)), 0);
});

test('the graph ends where the archive starts', () => {
  const file = readModelFile(TEAS);
  assert.equal(String.fromCharCode(...TEAS.subarray(file.graphBytes, file.graphBytes + 4)), 'PK\x03\x04');
  assert.equal(crc32(TEAS.subarray(0, file.graphBytes)), file.description.graph_crc32);
});

test('bytes behind the archive, none, and a changed graph are refused', () => {
  assert.equal(graphBytesOf(TEAS.subarray(0, TEAS.length - 1)), undefined);
  assert.equal(graphBytesOf(new Uint8Array(3)), undefined);
  const longer = new Uint8Array(TEAS.length + 5);
  longer.set(TEAS);
  assert.throws(() => readModelFile(longer), /incomplete/);
  for (let at = 8; at < readModelFile(TEAS).graphBytes; at += 97) {
    const changed = TEAS.slice();
    changed[at] ^= 1;
    assert.throws(() => readModelFile(changed), (error) => error instanceof ModelFileError && /damaged/.test(error.message));
  }
});
