// The member `vocabulary.bin` of a model file, which converters/VOCABULARY_FORMAT.md specifies.

const MAGIC = 0x434f564d; // "MVOC", little-endian
const FORMAT_VERSION = 1;
const HEADER_BYTES = 64;
const COLUMN_BYTES = 12;
const BLOCK = 16;
const LONG = 15;
const SHARE = 2;
const utf8 = new TextDecoder('utf-8', {ignoreBOM: true}); // a text may start with U+FEFF

/** Bytes that make no sense; `later` where a later version may make some of them. */
export class VocabularyError extends Error {
  constructor(message, later = false) {
    super(message);
    this.later = later;
  }
}

function check(holds, message) {
  if (!holds) throw new VocabularyError(`The vocabulary is damaged: ${message}.`);
}

/** Items and their ids, with titles to show and to search; a hole is an id kept for an item to come. */
export class Vocabulary {
  /**
   * @param {Uint8Array} bytes what `memcom convert` wrote
   * @throws {VocabularyError} if the bytes make no sense; after that, no lookup can fail
   */
  constructor(bytes) {
    const parts = new Parts(bytes);
    const header = parts.view(HEADER_BYTES);
    check(header.getUint32(0, true) === MAGIC, 'it has another beginning');
    const version = header.getUint32(4, true);
    if (version !== FORMAT_VERSION) throw new VocabularyError(`Version ${version}.`, version > FORMAT_VERSION);
    const [kind, policy, order] = [40, 41, 42].map((at) => header.getUint8(at));
    check(kind <= 1 && policy <= SHARE && order <= 2, 'unknown settings');
    const [places, , , countBytes, columns] = [44, 48, 52, 56, 60].map((at) => header.getUint32(at, true));
    check(columns > 0, 'it has no items');
    const records = parts.view(columns * COLUMN_BYTES);
    const named = Array.from({length: columns}, (_, number) => {
      const [nameBytes, texts, textBytes] =
          [0, 4, 8].map((at) => records.getUint32(number * COLUMN_BYTES + at, true));
      return readColumn(parts, {nameBytes, texts, textBytes, places, holes: number === 0});
    });
    const [[name, items], ...details] = named;
    this.items = items;
    this.details = new Map(details);
    check(name === '' && this.details.size === details.length, 'columns have the same name');
    this.places = parts.integers(items.distinct.size, places - 1);
    parts.take(countBytes);
    check(parts.isAtEnd, 'bytes are left over');
    this.fingerprint = Array.from(bytes.subarray(8, 40), (byte) => byte.toString(16).padStart(2, '0')).join('');
    this.firstId = policy === SHARE ? 2 : 1;
    this.inputDim = this.firstId + places;
    this.size = items.distinct.size;
    this.#check();
    this.titles = this.details.get('title') ?? items;
  }

  /** The item of an id, or null for a hole. */
  item(id) {
    return this.items.get(id - this.firstId);
  }

  /** The id of an item, integers as text, or undefined. */
  id(item) {
    const rank = this.items.distinct.find(item);
    return rank < 0 ? undefined : this.firstId + this.places.get(rank);
  }

  title(id) {
    return this.titles.get(id - this.firstId) || (this.item(id) ?? '');
  }

  caption(id) {
    return [...this.details].filter(([name]) => name !== 'title')
        .flatMap(([, column]) => column.get(id - this.firstId).split('|')).filter((text) => text).join(' · ');
  }

  /** Ids whose titles hold all words; those that start with the query first, then by popularity. */
  search(query, limit) {
    const wanted = fold(query).trim();
    const words = wanted.split(/\s+/).filter((word) => word);
    if (words.length === 0) return [];
    const starts = words.map((word) => new RegExp(`(^|[^\\p{L}\\p{N}])${escaped(word)}`, 'u'));
    const {distinct} = this.titles;
    this.folded ??= Array.from({length: distinct.size}, (_, rank) => fold(distinct.get(rank)));
    const tiers = [[], [], []];
    for (let id = this.firstId; id < this.inputDim; ++id) {
      const title = this.folded[this.titles.ranks.get(id - this.firstId)] || fold(this.title(id));
      if (!words.every((word) => title.includes(word))) continue;
      const tier = title.startsWith(wanted) ? 0 : starts.every((start) => start.test(title)) ? 1 : 2;
      tiers[tier].push(id);
    }
    return tiers.flat().slice(0, limit);
  }

  /** Reads all once. */
  #check() {
    [this.items, ...this.details.values()].forEach((column) => column.check());
    let found = 0;
    for (let place = 0; place < this.items.ranks.size; ++place) {
      const rank = this.items.ranks.get(place);
      if (rank === this.size) continue;
      check(this.places.get(rank) === place, 'items and their places do not agree');
      ++found;
    }
    check(found === this.size, `${this.size} items at ${found} places`);
  }
}

function readColumn(parts, {nameBytes, texts, textBytes, places, holes}) {
  check(texts > 0 && texts <= places, `${texts} texts at ${places} places`);
  const name = utf8.decode(parts.take(nameBytes));
  const starts = parts.integers(Math.ceil(texts / BLOCK), textBytes);
  const distinct = new SortedTexts(texts, starts, parts.take(textBytes));
  return [name, new Column(distinct, parts.integers(places, holes ? texts : texts - 1))];
}

/** Texts by place: `ranks` says which of `distinct`; their number stands for none. */
class Column {
  constructor(distinct, ranks) {
    this.distinct = distinct;
    this.ranks = ranks;
  }

  get(place) {
    const rank = this.ranks.get(place);
    return rank === this.distinct.size ? null : this.distinct.get(rank);
  }

  check() {
    this.distinct.check();
    for (let place = 0; place < this.ranks.size; ++place) {
      check(this.ranks.get(place) <= this.ranks.largest, 'a text does not exist');
    }
  }
}

/** Distinct texts in the order of their bytes; each stores what the one before it in its block lacks. */
class SortedTexts {
  constructor(size, starts, blocks) {
    this.size = size;
    this.starts = starts;
    this.blocks = blocks;
  }

  get(rank) {
    return utf8.decode(this.#block(Math.floor(rank / BLOCK), rank % BLOCK + 1).texts.at(-1));
  }

  /** The place of a text among all, or -1. */
  find(text) {
    const wanted = new TextEncoder().encode(text);
    let low = 0;
    let high = this.starts.size;
    while (low < high) { // the first block that starts behind the text
      const middle = (low + high) >>> 1;
      if (compare(this.#block(middle, 1).texts[0], wanted) <= 0) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return -1;
    const index = this.#block(low - 1).texts.findIndex((found) => compare(found, wanted) === 0);
    return index < 0 ? -1 : (low - 1) * BLOCK + index;
  }

  check() {
    let last;
    let start = 0;
    for (let block = 0; block < this.starts.size; ++block) {
      check(this.starts.get(block) === start, 'a block does not start where the last ended');
      const {texts, end} = this.#block(block);
      for (const text of texts) {
        check(last === undefined || compare(last, text) < 0, 'texts do not rise');
        last = text;
      }
      start = end;
    }
    check(start === this.blocks.length, 'bytes are left over behind the texts');
  }

  /** The first texts of a block, at most `limit`, and where they end. */
  #block(block, limit = BLOCK) {
    const {blocks, starts} = this;
    const end = block + 1 < starts.size ? starts.get(block + 1) : blocks.length;
    let position = starts.get(block);
    const byte = () => {
      check(position < end && end <= blocks.length, 'a block ends before its texts');
      return blocks[position++];
    };
    const length = (half) => {
      if (half < LONG) return half;
      let value = 0;
      for (let place = 0; place < 9; ++place) {
        const group = byte();
        value += (group & 0x7f) * 2 ** (7 * place);
        if (group < 0x80) return value + LONG;
      }
      throw new VocabularyError('The vocabulary is damaged: a number has no end.');
    };
    const texts = [];
    let text = new Uint8Array(0);
    for (let count = Math.min(limit, this.size - block * BLOCK); count > 0; --count) {
      const head = byte();
      const shared = length(head >> 4);
      const added = length(head & LONG);
      check(shared <= text.length && added <= end - position, 'a text does not end in its block');
      const next = new Uint8Array(shared + added);
      next.set(text.subarray(0, shared));
      next.set(blocks.subarray(position, position + added), shared);
      position += added;
      texts.push(text = next);
    }
    return {texts, end: position};
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
class Parts {
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

  view(size) {
    const part = this.take(size);
    return new DataView(part.buffer, part.byteOffset, part.byteLength);
  }

  integers(size, largest) {
    return new PackedInts(this.take(Math.ceil(size * widthOf(largest) / 8)), size, largest);
  }
}

/** As unsigned bytes, a text before those that it starts. */
function compare(a, b) {
  for (let i = 0; i < Math.min(a.length, b.length); ++i) {
    if (a[i] !== b[i]) return a[i] - b[i];
  }
  return a.length - b.length;
}

function fold(text) {
  return text.normalize('NFD').replace(/\p{Mn}/gu, '').toLowerCase();
}

function escaped(word) {
  return word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
