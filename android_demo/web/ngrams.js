// Texts as words and as hashed n-grams, by the rules of converters/VOCABULARY_FORMAT.md.

// Scripts that are written without blanks.
const UNSPACED = '\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3005-\\u3007\\u3040-\\u30ff\\u3400-\\u4dbf' +
    '\\u4e00-\\u9fff\\uac00-\\ud7af\\u{20000}-\\u{3ffff}';
const LETTER = '[\\p{L}\\p{M}\\p{N}]';
const RUNS = new RegExp(`(?:(?![${UNSPACED}])${LETTER})+|(?:(?=[${UNSPACED}])${LETTER})+`, 'gu');
const IS_UNSPACED = new RegExp(`^[${UNSPACED}]`, 'u');
const SIZES = [3, 4, 5];
const FIRST_ID = 2;
const encoder = new TextEncoder();

/** The words of a text, in their order. */
export function* wordsOf(text) {
  for (const [run] of text.normalize('NFKC').toLowerCase().matchAll(RUNS)) {
    if (!IS_UNSPACED.test(run)) {
      yield run;
      continue;
    }
    const letters = [...run];
    for (let place = 0; place < letters.length; ++place) {
      yield letters[place];
      if (place + 1 < letters.length) yield letters[place] + letters[place + 1];
    }
  }
}

/** The n-grams of a text, in their order. */
export function* ngramsOf(text) {
  for (const word of wordsOf(text)) {
    const letters = ['<', ...word, '>'];
    for (let start = 0; start + SIZES[0] <= letters.length; ++start) {
      for (const size of SIZES) {
        if (start + size <= letters.length) yield letters.slice(start, start + size).join('');
      }
    }
    if (letters.length > SIZES.at(-1)) yield letters.join('');
  }
}

/** FNV-1a of 32 bits of the UTF-8 bytes of a text. */
export function fnv1a(text) {
  let hash = 2166136261;
  for (const byte of encoder.encode(text)) hash = Math.imul(hash ^ byte, 16777619);
  return hash >>> 0;
}

/** A field of texts whose n-grams are hashed. */
export class NgramField {
  /** @param {object} described a field of a description that holds "ngrams" */
  constructor({name, length = 1, input_dim: inputDim}) {
    this.name = name;
    this.length = length;
    this.numBuckets = inputDim - FIRST_ID;
  }

  /**
   * The ids of a text: of its first n-grams, then zeros.
   *
   * @param {?string} text null, or what is left out, is missing
   * @returns {Int32Array}
   * @throws {RangeError} if it is no text
   */
  encode(text) {
    const ids = new Int32Array(this.length);
    if (text === null || text === undefined) return ids;
    if (typeof text !== 'string') throw new RangeError(`The field \`${this.name}\` must hold a text. Received: ${text}.`);
    let place = 0;
    for (const ngram of ngramsOf(text)) {
      if (place === this.length) break;
      ids[place++] = FIRST_ID + fnv1a(ngram) % this.numBuckets;
    }
    return ids;
  }
}
