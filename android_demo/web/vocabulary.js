// The member `vocabulary.bin` of a model file, which converters/VOCABULARY_FORMAT.md specifies.

import {check, Parts, SortedTexts, VocabularyError} from './sorted_texts.js';

const MAGIC = 0x434f564d; // "MVOC", little-endian
const FORMAT_VERSION = 1;
const HEADER_BYTES = 64;
const COLUMN_BYTES = 12;
const SHARE = 2;

/** Items and their ids, with titles to show and to search; a free id is kept for an item to come. */
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
      return readColumn(parts, {nameBytes, texts, textBytes, places, freeIds: number === 0});
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

  /** The item of an id, or null for a free id. */
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
    this.folded ??= this.titles.distinct.map(fold);
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

function readColumn(parts, {nameBytes, texts, textBytes, places, freeIds}) {
  check(texts > 0 && texts <= places, `${texts} texts at ${places} places`);
  const name = parts.text(nameBytes);
  const distinct = SortedTexts.read(parts, texts, textBytes);
  return [name, new Column(distinct, parts.integers(places, freeIds ? texts : texts - 1))];
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

function fold(text) {
  return text.normalize('NFD').replace(/\p{Mn}/gu, '').toLowerCase();
}

function escaped(word) {
  return word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
