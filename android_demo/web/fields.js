// Rows of fields, which converters/VOCABULARY_FORMAT.md specifies: their vocabularies, the member
// `fields.bin` of a model file, and how a row becomes the inputs of the model.

import {check, Parts, VocabularyError} from './sorted_texts.js';
import {Vocabulary} from './vocabulary.js';

const MAGIC = 0x444c464d; // "MFLD", little-endian
const FORMAT_VERSION = 1;
const HEADER_BYTES = 12;
const FIRST_ID = 2;
const UNKNOWN_ID = 1;
// Those of the format: what `trim` takes for blank differs.
const BLANKS = '[\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+';
const AROUND = new RegExp(`^${BLANKS}|${BLANKS}$`, 'g');

/** The fields of the rows that a model takes, in the order of its inputs. */
export class Fields {
  /**
   * @param {object[]} described the `fields` of a description
   * @param {Uint8Array} [bytes] the member `fields.bin`
   * @throws {VocabularyError} if the bytes make no sense, or are not those described
   */
  constructor(described, bytes) {
    const tables = [...new Set(described.filter(isOfCategories).map(({table}) => table))];
    const vocabularies = bytes ? readVocabularies(bytes) : [];
    check(tables.length === vocabularies.length, `${vocabularies.length} vocabularies of ${tables.length}`);
    const named = new Set(described.map(({name}) => name));
    check(named.size === described.length && named.size > 0, 'fields have the same name');
    this.all = described.map((field) => {
      if (!isOfCategories(field)) return {name: field.name};
      const vocabulary = vocabularies[tables.indexOf(field.table)];
      check(vocabulary.fingerprint === field.vocabulary_fingerprint && vocabulary.inputDim === field.input_dim &&
          vocabulary.firstId === FIRST_ID, `that of ${field.name} is another one`);
      return {name: field.name, length: field.length ?? 1, separator: field.separator, vocabulary};
    });
    const categories = this.all.filter(({vocabulary}) => vocabulary);
    this.slots = categories.reduce((sum, {length}) => sum + length, 0);
    this.numbers = this.all.length - categories.length;
  }

  /**
   * The inputs of the model for a row.
   *
   * @param {object} row texts and numbers by field; what is null or left out is missing, and what
   *     is no field of the model is left out
   * @returns {{ids: Int32Array, numbers: Float32Array}} NaN where a number is missing
   * @throws {RangeError} if a number is infinite, or no number
   */
  encode(row) {
    const ids = new Int32Array(this.slots);
    const numbers = new Float32Array(this.numbers);
    let slot = 0;
    let place = 0;
    for (const field of this.all) {
      const value = (Object.hasOwn(row, field.name) ? row[field.name] : null) ?? null;
      if (field.vocabulary) {
        ids.set(idsOf(field, value), slot);
        slot += field.length;
      } else {
        numbers[place++] = numberOf(field, value);
      }
    }
    return {ids, numbers};
  }
}

function isOfCategories({holds}) {
  return holds === 'categories';
}

function idsOf({name, length, separator, vocabulary}, value) {
  if (value !== null && typeof value !== 'string' && !Number.isSafeInteger(value)) {
    throw new RangeError(`The field \`${name}\` must hold a text. Received: ${value}.`);
  }
  const text = String(value ?? '');
  const values = separator === undefined ? [text] : text.split(separator).map((part) => part.replace(AROUND, ''));
  return values.filter((category) => category).slice(0, length)
      .map((category) => vocabulary.id(category) ?? UNKNOWN_ID);
}

function numberOf({name}, value) {
  if (value === null) return NaN;
  const number = typeof value === 'number' ? Math.fround(value) : Infinity;
  if (Math.abs(number) === Infinity) {
    throw new RangeError(`The field \`${name}\` must hold a finite number. Received: ${value}.`);
  }
  return number;
}

function readVocabularies(bytes) {
  const parts = new Parts(bytes);
  const header = parts.view(HEADER_BYTES);
  check(header.getUint32(0, true) === MAGIC, 'it has another beginning');
  const version = header.getUint32(4, true);
  if (version !== FORMAT_VERSION) throw new VocabularyError(`Version ${version}.`, version > FORMAT_VERSION);
  const count = header.getUint32(8, true);
  const lengths = parts.view(4 * count);
  const found = Array.from({length: count}, (_, place) => new Vocabulary(parts.take(lengths.getUint32(4 * place, true))));
  check(parts.isAtEnd, 'bytes are left over');
  return found;
}
