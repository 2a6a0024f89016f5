// A file of `memcom convert`: the graph, and in a zip archive behind it what describes it.

import {unzipSync} from 'fflate';
import {crc32, graphBytesOf} from './archive.js';
import {Fields} from './fields.js';
import {NgramField} from './ngrams.js';
import {VocabularyError} from './sorted_texts.js';
import {Vocabulary} from './vocabulary.js';

const DESCRIPTION = 'memcom.json';
const VOCABULARY = 'vocabulary.bin';
const FIELDS_OF_ROWS = 'fields.bin';
const FORMAT = 'memcom_tf.model';
const FORMAT_VERSION = 2;

// What is read of a description, as `description.schema.json` of the converter specifies it.
const isText = (value) => typeof value === 'string';
const isTexts = (value) => value !== null && typeof value === 'object' && Object.values(value).every(isText);
const isCount = (value) => Number.isSafeInteger(value) && value > 0;
export const FIELDS = {
  kind: isText,
  signatures: (value) => Array.isArray(value) && value.every(isText),
  weights: (value) => isText(value) || isTexts(value), // one for all, or by names
  embeddings: Array.isArray,
  vocabulary_fingerprint: (value) => value === null || isText(value),
  graph_crc32: (value) => Number.isSafeInteger(value) && value >= 0,
};
export const RANKER_FIELDS = {
  k: isCount,
  history_length: (value) => (value === 0 || isCount(value)) && value <= 2 ** 20,
};
export const EMBEDDING_FIELDS = {method: isText, input_dim: isCount};
export const ROW_FIELDS = {name: isText, holds: (value) => value === 'categories' || value === 'numbers'};
export const CATEGORY_FIELDS = {
  table: isText,
  input_dim: (value) => isCount(value) && value > 1,
  vocabulary_fingerprint: isText,
  length: (value) => value === undefined || isCount(value) && value <= 2 ** 16,
  separator: (value) => value === undefined || isText(value) && value !== '',
};
export const NGRAM_FIELDS = {
  name: isText,
  input_dim: (value) => isCount(value) && value > 2,
  length: CATEGORY_FIELDS.length,
};

/** What a person can do about a file that cannot be used. */
export class ModelFileError extends Error {}

/**
 * Reads the members of a file.
 *
 * @param {Uint8Array} bytes the file
 * @returns {{bytes: Uint8Array, description: object, vocabulary: ?Vocabulary, fields: ?Fields,
 *     texts: ?NgramField}} a ranker has a vocabulary, and fields where it takes some; a model of rows
 *     has fields; a model of vectors of texts has these
 * @throws {ModelFileError} if the file is of another model, damaged, or of a later version
 */
export function readModelFile(bytes) {
  if (String.fromCharCode(...bytes.slice(4, 8)) !== 'TFL3') {
    throw new ModelFileError('This is no TensorFlow Lite file. Choose one that memcom convert wrote.');
  }
  const members = readMembers(bytes);
  if (!members[DESCRIPTION]) throw foreign();
  const description = readDescription(members[DESCRIPTION]);
  const graphBytes = graphBytesOf(bytes);
  if (graphBytes === undefined) throw foreign();
  if (crc32(bytes.subarray(0, graphBytes)) !== description.graph_crc32) throw damaged();
  if (description.fields?.some(isOfNgrams)) {
    if (members[FIELDS_OF_ROWS]) throw damaged(); // n-grams have no vocabulary
    return {bytes, description, texts: new NgramField(description.fields[0])};
  }
  const fields = description.fields && readOrRefuse(() => new Fields(description.fields, members[FIELDS_OF_ROWS]));
  if (description.kind !== 'ranker' && fields) return {bytes, description, fields};
  if (description.kind !== 'ranker') {
    throw new ModelFileError('This model neither ranks nor scores rows. Convert a NextItemRanker or a ClickModel.');
  }
  if (!members[VOCABULARY]) {
    throw new ModelFileError('The file does not say what its items are called. ' +
        'Give the model its vocabulary before it is converted.');
  }
  const vocabulary = readOrRefuse(() => new Vocabulary(members[VOCABULARY]));
  if (vocabulary.fingerprint !== description.vocabulary_fingerprint ||
      vocabulary.inputDim !== description.embeddings[0].input_dim) {
    throw damaged();
  }
  return {bytes, graphBytes, description, vocabulary, fields};
}

function readMembers(bytes) {
  try {
    return unzipSync(bytes, {filter: ({name}) => [DESCRIPTION, VOCABULARY, FIELDS_OF_ROWS].includes(name)});
  } catch (error) {
    if (!('code' in error)) throw error; // not fflate's word on the archive
    throw foreign();
  }
}

/**
 * Reads the description of a file.
 *
 * @param {Uint8Array} content the member of the archive
 * @returns {object} its fields, of which those that are read here are what they must be
 * @throws {ModelFileError} if one is not, or another program or version wrote it
 */
export function readDescription(content) {
  const description = parse(new TextDecoder().decode(content));
  if (description?.format !== FORMAT) throw foreign();
  if (description.format_version > FORMAT_VERSION) throw later();
  if (!isCount(description.format_version)) throw damaged();
  if (description.format_version < FORMAT_VERSION) throw earlier();
  requireFields(description, FIELDS);
  if (description.kind === 'ranker') {
    requireFields(description, RANKER_FIELDS);
    requireFields(description.embeddings[0], EMBEDDING_FIELDS);
  }
  if ('fields' in description) {
    if (!Array.isArray(description.fields)) throw damaged();
    for (const field of description.fields) {
      if (field?.holds === 'text') {
        throw new ModelFileError('This model classifies texts, which this page does not. Run it with memcom score.');
      }
      if (isOfNgrams(field)) {
        requireFields(field, NGRAM_FIELDS);
      } else {
        requireFields(field, field?.holds === 'categories' ? {...ROW_FIELDS, ...CATEGORY_FIELDS} : ROW_FIELDS);
      }
    }
    if (description.fields.some(isOfNgrams)) requireVectors(description);
  }
  return description;
}

function isOfNgrams(field) {
  return field?.holds === 'ngrams';
}

/** Refuses n-grams in all but a model that gives vectors of them. */
function requireVectors({kind, fields, output_dim: outputDim}) {
  if (kind === 'ranker' || fields.length > 1 || outputDim === undefined) {
    throw new ModelFileError('This model reads n-grams of texts beside others, which this page does not. ' +
        'Run it from Python.');
  }
  if (!isCount(outputDim)) throw damaged();
}

function requireFields(values, fields) {
  for (const [name, fits] of Object.entries(fields)) {
    if (!fits(values?.[name])) throw damaged();
  }
}

function readOrRefuse(read) {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof VocabularyError)) throw error;
    throw error.later ? later() : damaged();
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw damaged();
  }
}

function damaged() {
  return new ModelFileError('The file was damaged on its way. Copy it again, or convert the model again.');
}

function later() {
  return new ModelFileError('A later version of memcom wrote this file. Update this page.');
}

function earlier() {
  return new ModelFileError('An earlier version of memcom wrote this file, in a form that this page does not read. ' +
      'Convert the model again.');
}

function foreign() {
  return new ModelFileError('The file is incomplete, or another program wrote it. Copy it again, ' +
      'or write it with memcom convert.');
}
