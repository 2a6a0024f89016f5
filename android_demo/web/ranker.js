// A ranker's file on LiteRT.js: the signatures `rank`, `score` and `embed`.

import {ModelFileError} from './model_file.js';
import {queryOf, rankedList} from './ranked_lists.js';
import {compile, inputsOf, run} from './runtime.js';

const MOST_CANDIDATES = 2 ** 14;

/** Ranks with a file that `readModelFile` returned. */
export class Ranker {
  /**
   * Compiles the graph.
   *
   * @throws {ModelFileError} if it takes another query than the file says, or one that is neither a
   *     history nor fields
   */
  static async open(file) {
    const candidates = Math.min(MOST_CANDIDATES, file.vocabulary.inputDim);
    const model = await compile(file.bytes, {score: candidates});
    const problem = problemOf(file, model.signatures.rank?.getInputDetails() ?? []);
    if (problem) {
      model.delete();
      throw new ModelFileError(problem);
    }
    const ranker = new Ranker(file, model);
    await ranker.#warmUp();
    return ranker;
  }

  constructor(file, model) {
    this.file = file;
    this.model = model;
  }

  /**
   * The best items of a query: ids and scores, best first, and what it took.
   *
   * @param {object} asked as `rankedList` takes it
   */
  async rank(asked) {
    const start = performance.now();
    const graph = {
      rank: (query) => run(this.model, 'rank', query),
      score: async (query, ids) => (await this.#runInBatches('score', 'candidates', ids, query)).scores,
    };
    const list = await rankedList(graph, this.file, asked);
    return {...list, milliseconds: performance.now() - start};
  }

  /** Scores of candidates after a history of ids, and of a row. */
  async score(candidates, history, row) {
    return (await this.#runInBatches('score', 'candidates', candidates, queryOf(this.file, history, row))).scores;
  }

  /** Vectors of items of a history, one after the other. */
  async vectors(ids) {
    return (await this.#runInBatches('embed', 'ids', ids)).vectors;
  }

  /** Vectors of ranked items: those of the history's, but for models with a table of their own. */
  async outputVectors(ids) {
    const own = this.file.description.signatures.includes('embed_output');
    return (await this.#runInBatches(own ? 'embed_output' : 'embed', 'ids', ids)).vectors;
  }

  /** Median milliseconds of ranking the catalogue, after as many runs to warm up. */
  async medianMilliseconds(asked, runs) {
    for (let run = 0; run < runs; ++run) await this.rank(asked);
    const times = [];
    for (let run = 0; run < runs; ++run) times.push((await this.rank(asked)).milliseconds);
    return times.sort((a, b) => a - b)[Math.floor(runs / 2)];
  }

  close() {
    this.model.delete();
  }

  /** The first run of a signature prepares it, which is no part of what a list costs. */
  async #warmUp() {
    const query = queryOf(this.file);
    await run(this.model, 'rank', query);
    await this.#runInBatches('score', 'candidates', [this.file.vocabulary.firstId], query);
  }

  /** `input` in parts of the size that the signature was compiled for. */
  async #runInBatches(signature, input, values, others = {}) {
    const details = this.model.signatures[signature].getInputDetails().find(({name}) => name === input);
    const size = details.shape[0];
    const parts = {};
    for (let start = 0; start < values.length; start += size) {
      const part = new Int32Array(size);
      part.set(values.slice(start, start + size));
      const outputs = await run(this.model, signature, {...others, [input]: part});
      for (const [name, output] of Object.entries(outputs)) {
        const used = output.length / size * Math.min(size, values.length - start);
        (parts[name] ??= []).push(...output.slice(0, used));
      }
    }
    return parts;
  }
}

/** What is wrong with the inputs of a graph, or undefined. */
function problemOf({description, fields}, found) {
  const length = description.history_length;
  const described = {...(length > 0 ? {history: length} : {}), ...(fields ? inputsOf(fields) : {})};
  const other = found.find(({name}) => !(name in described));
  if (other) {
    return `This model also ranks by “${other.name}”, which is neither a history nor a field. ` +
        'Such a file is ranked with from Python alone.';
  }
  // A graph does not take fields that its outputs do not depend on.
  const fits = found.every(({name, shape}) => shape.length === 2 && shape[0] === 1 && shape[1] === described[name]) &&
      (length === 0 || found.some(({name}) => name === 'history'));
  return fits ? undefined : 'The graph ranks by another query than the file says. Convert the model again.';
}

/**
 * For each ranked id the items of the history that speak for it, with their shares of all that do, largest first.
 *
 * @returns {Promise<{id: number, share: number}[][]>}
 */
export async function reasonsOf(ranker, history, ranked) {
  const seen = history.slice(-ranker.file.description.history_length);
  if (seen.length === 0 || ranked.length === 0) return ranked.map(() => []);
  const ours = await ranker.vectors(seen);
  const theirs = await ranker.outputVectors(ranked);
  const width = theirs.length / ranked.length;
  return ranked.map((_, place) => {
    const strength = (index) => {
      let sum = 0;
      for (let i = 0; i < width; ++i) sum += ours[index * width + i] * theirs[place * width + i];
      return sum;
    };
    const pulls = seen.map((id, index) => ({id, strength: strength(index)})).filter((pull) => pull.strength > 0);
    const total = pulls.reduce((sum, pull) => sum + pull.strength, 0);
    return pulls.sort((a, b) => b.strength - a.strength).map((pull) => ({id: pull.id, share: pull.strength / total}));
  });
}
