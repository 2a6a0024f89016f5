// Texts and integers in bytes, as converters/VOCABULARY_FORMAT.md lays them out.

const BLOCK = 16;
const LONG = 15;
const utf8 = new TextDecoder('utf-8', {ignoreBOM: true}); // a text may start with U+FEFF

/** Bytes that make no sense; `later` where a later version may make some of them. */
export class VocabularyError extends Error {
  constructor(message, later = false) {
    super(message);
    this.later = later;
  }
}

/** Refuses bytes of which something does not hold. */
export function check(holds, message) {
  if (!holds) throw new VocabularyError(`The vocabulary is damaged: ${message}.`);
}

/** Distinct texts in the order of their bytes; each stores what the one before it in its block lacks. */
export class SortedTexts {
  constructor(size, starts, blocks) {
    this.size = size;
    this.starts = starts;
    this.blocks = blocks;
  }

  /** The next texts of the bytes. */
  static read(parts, size, textBytes) {
    const starts = parts.integers(Math.ceil(size / BLOCK), textBytes);
    return new SortedTexts(size, starts, parts.take(textBytes));
  }

  get(rank) {
    const cursor = new Cursor(this, Math.floor(rank / BLOCK));
    for (let count = rank % BLOCK; count >= 0; --count) cursor.next();
    return cursor.toString();
  }

  /** The place of a text among all, or -1. */
  find(text) {
    const wanted = new TextEncoder().encode(text);
    let low = 0;
    let high = this.starts.size;
    while (low < high) { // the first block that starts behind the text
      const middle = (low + high) >>> 1;
      if (new Cursor(this, middle).next().compare(wanted, wanted.length) <= 0) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return -1;
    const cursor = new Cursor(this, low - 1);
    for (let rank = (low - 1) * BLOCK; rank < Math.min(low * BLOCK, this.size); ++rank) {
      if (cursor.next().compare(wanted, wanted.length) === 0) return rank;
    }
    return -1;
  }

  /** Makes something of each text, in order. */
  map(make) {
    const made = [];
    for (let block = 0; block < this.starts.size; ++block) {
      const cursor = new Cursor(this, block);
      while (made.length < Math.min((block + 1) * BLOCK, this.size)) made.push(make(cursor.next().toString()));
    }
    return made;
  }

  check() {
    let last;
    for (let block = 0; block < this.starts.size; ++block) {
      const cursor = new Cursor(this, block);
      check(cursor.position === (last?.position ?? 0), 'a block does not start where the last ended');
      cursor.next();
      check(!last || last.compare(cursor.text, cursor.length) < 0, 'texts do not rise');
      for (let rank = block * BLOCK + 1; rank < Math.min((block + 1) * BLOCK, this.size); ++rank) {
        check(cursor.next().rises, 'texts do not rise');
      }
      last = cursor;
    }
    check(!last || last.position === this.blocks.length, 'bytes are left over behind the texts');
  }
}

/** Reads one text of a block after the other. */
class Cursor {
  constructor({starts, blocks}, block) {
    this.blocks = blocks;
    this.position = starts.get(block);
    this.end = block + 1 < starts.size ? starts.get(block + 1) : blocks.length;
    check(this.end <= blocks.length, 'a block ends behind the texts');
    this.text = new Uint8Array(64);
    this.length = 0;
  }

  next() {
    const head = this.#byte();
    const shared = this.#length(head >> 4);
    const added = this.#length(head & LONG);
    check(shared <= this.length && added <= this.end - this.position, 'a text does not end in its block');
    // Of the one before it, it must share as much as it can.
    this.rises = added > 0 && (shared === this.length || this.blocks[this.position] > this.text[shared]);
    this.length = shared + added;
    if (this.length > this.text.length) {
      const larger = new Uint8Array(2 * this.length);
      larger.set(this.text.subarray(0, shared));
      this.text = larger;
    }
    for (let at = shared; at < this.length; ++at) this.text[at] = this.blocks[this.position++];
    return this;
  }

  /** As unsigned bytes, a text before those that it starts. */
  compare(other, length) {
    for (let at = 0; at < Math.min(this.length, length); ++at) {
      if (this.text[at] !== other[at]) return this.text[at] - other[at];
    }
    return this.length - length;
  }

  toString() {
    return utf8.decode(this.text.subarray(0, this.length));
  }

  #length(half) {
    if (half < LONG) return half;
    let value = LONG;
    for (let place = 0; place < 9; ++place) {
      const group = this.#byte();
      value += (group & 0x7f) * 2 ** (7 * place);
      if (group < 0x80) return value;
    }
    throw new VocabularyError('The vocabulary is damaged: a number has no end.');
  }

  #byte() {
    check(this.position < this.end, 'a block ends before its texts');
    return this.blocks[this.position++];
  }
}

/** Integers of as many bits as the largest may need, the lowest bits first. */
class PackedInts {
  constructor(bytes, size, largest) {
    this.bytes = bytes;
    this.size = size;
    this.largest = largest;
    this.width = widthOf(largest);
  }

  get(index) {
    const bit = index * this.width;
    const start = Math.floor(bit / 8);
    const shift = bit % 8;
    let word = 0; // up to 39 bits: more than the operators on bits take
    for (let place = Math.floor((shift + this.width - 1) / 8); place >= 0; --place) {
      word = word * 256 + this.bytes[start + place];
    }
    return Math.floor(word / 2 ** shift) % 2 ** this.width;
  }
}

function widthOf(largest) {
  return Math.max(1, 32 - Math.clz32(largest));
}

/** Hands out one part of the bytes after the other. */
export class Parts {
  #position = 0;

  constructor(bytes) {
    this.bytes = bytes;
  }

  get isAtEnd() {
    return this.#position === this.bytes.length;
  }

  take(size) {
    check(size <= this.bytes.length - this.#position, 'it ends too early');
    this.#position += size;
    return this.bytes.subarray(this.#position - size, this.#position);
  }

  text(size) {
    return utf8.decode(this.take(size));
  }

  view(size) {
    const part = this.take(size);
    return new DataView(part.buffer, part.byteOffset, part.byteLength);
  }

  integers(size, largest) {
    return new PackedInts(this.take(Math.ceil(size * widthOf(largest) / 8)), size, largest);
  }
}
