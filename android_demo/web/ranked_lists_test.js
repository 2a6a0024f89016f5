// Lists at run time: what `CompressedModelFile.rank` of the Python package does, and its messages.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Fields} from './fields.js';
import {queryOf, rankedList} from './ranked_lists.js';

/** Items 2 to 8 but for 5, which is free; id 1 stands for unknown ones. */
function fileOf({historyLength = 2, inputDim = 9, fields} = {}) {
  const vocabulary = {firstId: 2, inputDim, item: (id) => (id === 5 ? null : String(id))};
  return {description: {k: 3, history_length: historyLength}, vocabulary, fields};
}

/** A graph that gives scores by id, 0 where there is none; its list has the three best. */
function graphOf(scores) {
  const of = (ids) => ids.map((id) => scores[id] ?? 0);
  const graph = {queries: [], scored: []};
  graph.rank = async (query) => {
    graph.queries.push(query);
    const ids = Object.keys(scores).map(Number).filter((id) => !query.history.includes(id));
    ids.sort((a, b) => scores[b] - scores[a]);
    return {ids: ids.slice(0, 3), scores: of(ids.slice(0, 3))};
  };
  graph.score = async (query, ids) => {
    graph.queries.push(query);
    graph.scored.push(ids);
    return of(ids);
  };
  return graph;
}

const SCORES = {2: 3, 3: 9, 4: 8, 6: 7, 7: 5, 8: 1};
const FILE = fileOf();

async function idsOf(asked, scores = SCORES, graph = graphOf(scores)) {
  const found = await rankedList(graph, FILE, asked);
  assert.deepEqual(found.scores, found.ids.map((id) => scores[id] ?? 0));
  return found.ids;
}

test('the list of the graph is taken where enough of it is left', async () => {
  const graph = graphOf(SCORES);
  assert.deepEqual(await idsOf(undefined, SCORES, graph), [3, 4, 6]);
  assert.deepEqual(await idsOf({k: 1}, SCORES, graph), [3]);
  assert.deepEqual(await idsOf({k: 2, exclude: [3]}, SCORES, graph), [4, 6]);
  assert.deepEqual(await idsOf({history: [3], k: 1, exclude: [4, 2]}, SCORES, graph), [6]);
  assert.deepEqual(graph.scored, []);
});

test('else all items are scored, neither reserved nor free ids', async () => {
  const graph = graphOf(SCORES);
  assert.deepEqual(await idsOf({exclude: [4, 3, 3, 0, 1]}, SCORES, graph), [6, 7, 2]);
  assert.deepEqual(await idsOf({history: [6], k: 2, exclude: [3, 4]}, SCORES, graph), [7, 2]);
  assert.deepEqual(graph.scored, [[2, 6, 7, 8], [2, 7, 8]]);
  assert.deepEqual(await idsOf({exclude: [2, 3, 4, 6, 7]}), [8]);
  assert.deepEqual(await idsOf({exclude: [2, 3, 4, 6, 7, 8]}), []);
});

test('candidates alone are ranked', async () => {
  assert.deepEqual(await idsOf({k: 9, candidates: [8, 7, 4, 6, 4, 1, 0]}), [4, 6, 7, 8]);
  assert.deepEqual(await idsOf({k: 2, candidates: [8, 7, 4, 6]}), [4, 6]);
  assert.deepEqual(await idsOf({history: [6], exclude: [4], candidates: [8, 7, 4, 6]}), [7, 8]);
  assert.deepEqual(await idsOf({candidates: []}), []);
  assert.deepEqual(await idsOf({history: [6], candidates: [6]}), []);
});

test('of equal scores the smaller id is first, and what is no number is last', async () => {
  const scores = {2: -0, 3: 0, 4: NaN, 6: 0, 7: -Infinity, 8: Infinity};
  assert.deepEqual(await idsOf({k: 9, candidates: [8, 7, 6, 4, 3, 2]}, scores), [8, 2, 3, 6, 7, 4]);
});

test('items are scored in parts', async () => {
  const file = fileOf({inputDim: 40002});
  const scores = {};
  for (let id = 2; id < 40002; ++id) if (id !== 5) scores[id] = id * 7919 % 39989;
  const best = Object.keys(scores).map(Number).sort((a, b) => scores[b] - scores[a] || a - b);
  const graph = graphOf(scores);
  const {ids} = await rankedList(graph, file, {exclude: best.slice(0, 3)});
  assert.deepEqual(ids, best.slice(3, 6));
  assert.deepEqual(graph.scored.map(({length}) => length), [16384, 16384, 39996 - 2 * 16384]);
  assert.deepEqual(graph.scored.flat(), best.slice(3).sort((a, b) => a - b));
});

test('the query is one for all parts', async () => {
  const graph = graphOf(SCORES);
  await idsOf({history: [8, 7, 0, 6], exclude: [2, 3]}, SCORES, graph);
  assert.deepEqual(graph.queries.map(({history}) => [...history]), [[7, 6], [7, 6]]);
});

test('what does not fit is refused', async () => {
  const refused = (asked, message) => assert.rejects(idsOf(asked), {name: 'RangeError', message});
  for (const k of [0, 1.5, '2']) await refused({k}, `\`k\` must be a positive integer. Received: k=${k}.`);
  await refused({k: 4},
      '`k` must be in [1, 3], as long as the list of the file. Received: k=4. Convert with a larger `k`.');
  for (const id of [-1, 9, 5, 2.5]) {
    const message = `Ids must be in [0, 9), and ids of items in the vocabulary. Received: id=${id}. ` +
        "Map items to ids with the file's `vocabulary`.";
    for (const asked of [{history: [id]}, {exclude: [2, id]}, {candidates: [2, id]}]) await refused(asked, message);
  }
  await refused({row: {age: 3}}, "The file must hold a model of rows of fields. Received: kind='ranker'. " +
      'Convert a memcom_tf.models.ClickModel.');
});

test('a file without a history ranks by fields alone', () => {
  const fields = new Fields([{name: 'age', holds: 'numbers'}, {name: 'size', holds: 'numbers'}]);
  const file = fileOf({historyLength: 0, fields});
  const refused = (history, row, message) =>
    assert.throws(() => queryOf(file, history, row), {name: 'RangeError', message});
  const query = queryOf(file, [], {age: 31, size: null});
  assert.deepEqual([[...query.history], [...query.numbers]], [[], [31, NaN]]);
  assert.deepEqual([...queryOf(file).numbers], [NaN, NaN]);
  refused([2, 3], {}, '`history` must be left out: the file takes none. Received: history=[2, 3].');
  refused([], {b: 1, a: 1}, "Fields must be among age, size. Received: fields=['a', 'b'].");
  refused([], {age: 'old'}, 'The field `age` must hold a finite number. Received: old.');
});
