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
    if (!problem) return new Ranker(file, model);
    model.delete();
    throw new ModelFileError(problem);
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

  close() {
    this.model.delete();
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

/** For each ranked id the id of the history that speaks most for it, or undefined where none does. */
export async function strongestPulls(ranker, history, ranked) {
  const seen = history.slice(-ranker.file.description.history_length);
  if (seen.length === 0 || ranked.length === 0) return ranked.map(() => undefined);
  const ours = await ranker.vectors(seen);
  const theirs = await ranker.outputVectors(ranked);
  const width = theirs.length / ranked.length;
  return ranked.map((_, place) => {
    const strength = (index) => {
      let sum = 0;
      for (let i = 0; i < width; ++i) sum += ours[index * width + i] * theirs[place * width + i];
      return sum;
    };
    const pulls = seen.map((id, index) => [strength(index), id]);
    const [best, id] = pulls.reduce((a, b) => b[0] > a[0] ? b : a);
    return best > 0 ? id : undefined;
  });
}
