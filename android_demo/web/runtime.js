// LiteRT.js, which runs the graph of a model file.

import {loadAndCompile, loadLiteRt, Tensor} from '@litertjs/core';
import {withFixedShapes} from './fixed_shapes.js';

const RUNTIME = '/node_modules/@litertjs/core/wasm/';
let runtime;

/**
 * The model of a file; the runtime is loaded once.
 *
 * @param {Uint8Array} bytes the file
 * @param {object} sizes what open sizes are fixed to, by signature; 1 where none is given
 */
export async function compile(bytes, sizes) {
  runtime ??= loadLiteRt(RUNTIME);
  await runtime;
  return loadAndCompile(withFixedShapes(bytes, sizes), {accelerator: 'wasm'});
}

/** Sizes of the inputs that a row of fields is, by name. */
export function inputsOf({slots, numbers}) {
  return Object.fromEntries(Object.entries({ids: slots, numbers}).filter(([, size]) => size > 0));
}

/** What a signature gives for arrays by name: arrays of numbers by name. */
export async function run(model, signature, inputs) {
  const tensors = {};
  for (const {name, shape} of model.signatures[signature].getInputDetails()) {
    tensors[name] = new Tensor(inputs[name], [...shape]);
  }
  const outputs = await model.run(signature, tensors);
  const values = {};
  for (const [name, tensor] of Object.entries(outputs)) {
    values[name] = [...await tensor.data()];
    tensor.delete();
  }
  Object.values(tensors).forEach((tensor) => tensor.delete());
  return values;
}
