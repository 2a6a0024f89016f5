// The file of a model that gives the vectors of texts on LiteRT.js: the signature `serving_default`.

import {ModelFileError} from './model_file.js';
import {compile, run} from './runtime.js';

const SERVE = 'serving_default';

/** Gives the vectors of texts with a file that `readModelFile` returned. */
export class TextVectors {
  /**
   * Compiles the graph.
   *
   * @throws {ModelFileError} if it takes other texts, or gives other vectors, than the file says
   */
  static async open(file) {
    if (!file.texts) throw new ModelFileError('This model gives no vectors of texts. Convert a TextVectors.');
    const model = await compile(file.bytes);
    const signature = model.signatures[SERVE];
    const inputs = signature?.getInputDetails() ?? [];
    const outputs = signature?.getOutputDetails() ?? [];
    const fits = inputs.length === 1 && inputs[0].name === 'ids' && inputs[0].shape.at(-1) === file.texts.length &&
        outputs.length === 1 && outputs[0].shape.at(-1) === file.description.output_dim;
    if (!fits) {
      model.delete();
      throw new ModelFileError('The graph takes other texts than the file says. Convert the model again.');
    }
    return new TextVectors(file, model);
  }

  constructor(file, model) {
    this.file = file;
    this.model = model;
  }

  /**
   * The vector of a text, whose product with the query of a ranker is its score.
   *
   * @param {?string} text one without a letter or number, and null, have the vector of nothing known
   * @returns {Promise<Float32Array>}
   */
  async vectorOf(text) {
    const outputs = await run(this.model, SERVE, {ids: this.file.texts.encode(text)});
    return Float32Array.from(Object.values(outputs)[0]);
  }

  close() {
    this.model.delete();
  }
}
