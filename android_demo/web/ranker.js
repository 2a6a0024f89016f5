// A ranker's file on LiteRT.js: the signatures `rank`, `score` and `embed`.

import {compile, run} from './runtime.js';

/** Ranks with a file that `readModelFile` returned. */
export class Ranker {
  /** Compiles the graph. */
  static async open(file) {
    return new Ranker(file, await compile(file.bytes));
  }

  constructor(file, model) {
    this.file = file;
    this.model = model;
  }

  /** The most recent items in order of time, then zeros. */
  row(history) {
    const length = this.file.description.history_length;
    const row = new Int32Array(length);
    row.set(history.slice(-length));
    return row;
  }

  /** The best items after a history of ids: ids and scores, best first, and what it took. */
  async rank(history) {
    const start = performance.now();
    const {ids, scores} = await run(this.model, 'rank', {history: this.row(history)});
    return {ids, scores, milliseconds: performance.now() - start};
  }

  /** Scores of candidates after a history. */
  async score(history, candidates) {
    const {scores} = await this.#runInBatches('score', 'candidates', candidates, {history: this.row(history)});
    return scores;
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

/** For each ranked id the id of the history that speaks most for it, or undefined where none does. */
export async function strongestPulls(ranker, history, ranked) {
  const seen = history.slice(-ranker.file.description.history_length);
  if (seen.length === 0) return ranked.map(() => undefined);
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
