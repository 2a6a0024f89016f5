// Queries of a ranker's file, and lists that leave items out or are of some only: as `CompressedModelFile.rank`.

const SCORED_AT_A_TIME = 2 ** 14;

/**
 * A query as the graph takes it.
 *
 * @param {object} file what `readModelFile` returned
 * @param {number[]} history ids in order of time, of which the most recent are seen
 * @param {object} row values by field, as `Fields.encode` takes them
 * @returns {object} inputs by name
 * @throws {RangeError} if ids are not in the catalogue, or the file takes no such history or row
 */
export function queryOf({description, vocabulary, fields}, history = [], row = {}) {
  const length = description.history_length;
  if (length === 0 && history.length > 0) {
    throw new RangeError(`\`history\` must be left out: the file takes none. Received: history=[${history.join(', ')}].`);
  }
  requireItems(vocabulary, history);
  const seen = new Int32Array(length);
  seen.set(history.filter((id) => id !== 0).slice(-length));
  return {history: seen, ...encoded(fields, row)};
}

/**
 * The best items of a query, best first; of equal scores the smaller id first. The list is shorter
 * where fewer items are left.
 *
 * The list that the graph makes is taken where enough of it is left. Else all items that may be in
 * the list are scored, which gives the same list and takes longer.
 *
 * @param {{rank: function, score: function}} graph runs the signatures on a query
 * @param {object} file what `readModelFile` returned
 * @param {object} asked `history`, ids in order of time, which are left out; `k`, at most that of the
 *     file, of candidates any; ids to `exclude`, too; the `candidates` that alone are ranked, or null;
 *     `row`, values by field
 * @returns {Promise<{ids: number[], scores: number[]}>}
 * @throws {RangeError} if `k` is out of range, ids are not in the catalogue, or the file takes no such
 *     history or row
 */
export async function rankedList(graph, file, asked = {}) {
  const {history, k = file.description.k, exclude = [], candidates = null, row} = asked;
  const query = queryOf(file, history, row);
  if (!Number.isSafeInteger(k) || k < 1) throw new RangeError(`\`k\` must be a positive integer. Received: k=${k}.`);
  const leftOut = new Set(itemsOf(file, exclude));
  const chosen = candidates && [...new Set(itemsOf(file, candidates))].sort((a, b) => a - b);
  if (!chosen) {
    requireShort(k, file.description.k);
    const {ids, scores} = await graph.rank(query);
    const left = [...ids.keys()].filter((place) => !leftOut.has(ids[place]));
    if (left.length >= k || leftOut.size === 0) return at(left.slice(0, k), ids, scores);
  }
  query.history.forEach((id) => leftOut.add(id));
  return bestOf(graph, query, (chosen ?? catalogue(file)).filter((id) => !leftOut.has(id)), k);
}

async function bestOf(graph, query, ids, k) {
  const scores = [];
  for (let first = 0; first < ids.length; first += SCORED_AT_A_TIME) {
    scores.push(...await graph.score(query, ids.slice(first, first + SCORED_AT_A_TIME)));
  }
  const isNone = (place) => Number(Number.isNaN(scores[place]));
  const best = [...ids.keys()].sort((a, b) => isNone(a) - isNone(b) || scores[b] - scores[a] || a - b);
  return at(best.slice(0, k), ids, scores);
}

function at(places, ids, scores) {
  return {ids: places.map((place) => ids[place]), scores: places.map((place) => scores[place])};
}

/** The ids of all items. */
function catalogue({vocabulary}) {
  const ids = [];
  for (let id = vocabulary.firstId; id < vocabulary.inputDim; ++id) {
    if (vocabulary.item(id) !== null) ids.push(id);
  }
  return ids;
}

/** Ids of items; the reserved ones are left out. */
function itemsOf({vocabulary}, ids) {
  requireItems(vocabulary, ids);
  return ids.filter((id) => id >= vocabulary.firstId);
}

/** Requires ids of items, or reserved ones. */
function requireItems(vocabulary, ids) {
  const {firstId, inputDim} = vocabulary;
  const isOutside = (id) => !Number.isSafeInteger(id) || id < 0 || id >= inputDim;
  const outside = ids.find((id) => isOutside(id) || id >= firstId && vocabulary.item(id) === null);
  if (outside === undefined) return;
  throw new RangeError(`Ids must be in [0, ${inputDim}), and ids of items in the vocabulary. Received: id=${outside}. ` +
      "Map items to ids with the file's `vocabulary`.");
}

function requireShort(k, longest) {
  if (k <= longest) return;
  throw new RangeError(`\`k\` must be in [1, ${longest}], as long as the list of the file. Received: k=${k}. ` +
      'Convert with a larger `k`.');
}

function encoded(fields, row) {
  const given = Object.keys(row);
  if (!fields && given.length > 0) {
    throw new RangeError("The file must hold a model of rows of fields. Received: kind='ranker'. " +
        'Convert a memcom_tf.models.ClickModel.');
  }
  if (!fields) return {};
  const names = fields.all.map(({name}) => name);
  const unknown = given.filter((name) => !names.includes(name)).sort();
  if (unknown.length > 0) {
    const quoted = unknown.map((name) => `'${name}'`).join(', ');
    throw new RangeError(`Fields must be among ${names.join(', ')}. Received: fields=[${quoted}].`);
  }
  return fields.encode(row);
}
