// The file of a model of rows on LiteRT.js: the signature `serving_default`.

import {ModelFileError} from './model_file.js';
import {compile, inputsOf, run} from './runtime.js';

const SERVE = 'serving_default';

/** Scores rows with a file that `readModelFile` returned. */
export class Scorer {
  /**
   * Compiles the graph.
   *
   * @throws {ModelFileError} if it takes other rows than the file says
   */
  static async open(file) {
    const model = await compile(file.bytes);
    const expected = Object.entries(inputsOf(file.fields));
    const found = model.signatures[SERVE]?.getInputDetails() ?? [];
    const fits = expected.every(([name, size]) => found.some((input) => input.name === name && input.shape[1] === size));
    if (!fits || found.length !== expected.length) {
      model.delete();
      throw new ModelFileError('The graph takes other rows than the file says. Convert the model again.');
    }
    const scorer = new Scorer(file, model);
    await scorer.score({}); // the first run prepares the graph, which is no part of what a score costs
    return scorer;
  }

  constructor(file, model) {
    this.file = file;
    this.model = model;
  }

  /** What the model says of a row: of a click model the probability of a click. */
  async score(row) {
    const outputs = await run(this.model, SERVE, this.file.fields.encode(row));
    return Object.values(outputs)[0][0];
  }

  close() {
    this.model.delete();
  }
}
