// A file of `memcom convert`: the graph, and in a zip archive behind it what describes it.

import {unzipSync} from 'fflate';

const FORMATS = {'memcom.json': 'memcom_tf.model', 'vocabulary.json': 'memcom_tf.vocabulary'};
const FORMAT_VERSION = 1;

/** What a person can do about a file that cannot be ranked with. */
export class ModelFileError extends Error {}

/**
 * Reads the members of a ranker's file.
 *
 * @param {Uint8Array} bytes the file
 * @returns {{bytes: Uint8Array, description: object, vocabulary: Vocabulary}}
 * @throws {ModelFileError} if the file is no ranker's, damaged, or of a later version
 */
export function readModelFile(bytes) {
  if (String.fromCharCode(...bytes.slice(4, 8)) !== 'TFL3') {
    throw new ModelFileError('This is no TensorFlow Lite file. Choose one that memcom convert wrote.');
  }
  const members = readMembers(bytes);
  const description = members['memcom.json'];
  if (!description) throw foreign();
  if (description.kind !== 'ranker') {
    throw new ModelFileError('This model does not rank. Convert a NextItemRanker.');
  }
  const content = members['vocabulary.json'];
  if (!content) {
    throw new ModelFileError('The file does not say what its items are called. ' +
        'Give the model its vocabulary before it is converted.');
  }
  const vocabulary = new Vocabulary(content);
  if (content.fingerprint !== description.vocabulary_fingerprint ||
      vocabulary.inputDim !== description.embeddings[0].input_dim) {
    throw new ModelFileError('The file was damaged on its way. Copy it again.');
  }
  return {bytes, description, vocabulary};
}

function readMembers(bytes) {
  let archive;
  try {
    archive = unzipSync(bytes, {filter: ({name}) => name in FORMATS});
  } catch (error) {
    if (!('code' in error)) throw error; // not fflate's word on the archive
    throw foreign();
  }
  const members = {};
  for (const [name, content] of Object.entries(archive)) {
    const member = parse(new TextDecoder().decode(content));
    if (member.format !== FORMATS[name]) throw foreign();
    if (!(member.format_version <= FORMAT_VERSION)) {
      throw new ModelFileError('A later version of memcom wrote this file. Update this page.');
    }
    members[name] = member;
  }
  return members;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ModelFileError('The file was damaged on its way. Copy it again.');
  }
}

function foreign() {
  return new ModelFileError('The file is incomplete, or another program wrote it. Copy it again, ' +
      'or write it with memcom convert.');
}

/** Items and their ids, with titles to show and to search; an item that is null is a hole, kept for one to come. */
export class Vocabulary {
  constructor({items, details = {}, out_of_vocabulary: policy}) {
    const {title, ...others} = details;
    this.items = items;
    this.firstId = policy === 'share' ? 2 : 1;
    this.inputDim = this.firstId + items.length;
    this.titles = items.map((item, index) => title?.[index] || String(item ?? ''));
    this.captions = items.map((_, index) => Object.values(others)
        .flatMap((texts) => texts[index].split('|')).filter((text) => text).join(' · '));
    this.folded = this.titles.map(fold);
    this.size = items.filter((item) => item !== null).length;
  }

  title(id) {
    return this.titles[id - this.firstId];
  }

  caption(id) {
    return this.captions[id - this.firstId];
  }

  /** The id of an item, or undefined. */
  id(item) {
    const index = this.items.indexOf(item);
    return index < 0 ? undefined : index + this.firstId;
  }

  item(id) {
    return this.items[id - this.firstId];
  }

  /** Ids whose titles hold all words; those that start with the query first, then by popularity. */
  search(query, limit) {
    const wanted = fold(query).trim();
    const words = wanted.split(/\s+/).filter((word) => word);
    if (words.length === 0) return [];
    const tiers = [[], [], []];
    this.folded.forEach((title, index) => {
      if (!words.every((word) => title.includes(word))) return;
      const starts = words.every((word) => new RegExp(`(^|[^\\p{L}\\p{N}])${escaped(word)}`, 'u').test(title));
      tiers[title.startsWith(wanted) ? 0 : starts ? 1 : 2].push(index + this.firstId);
    });
    return tiers.flat().slice(0, limit);
  }
}

function fold(text) {
  return text.normalize('NFD').replace(/\p{Mn}/gu, '').toLowerCase();
}

function escaped(word) {
  return word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
