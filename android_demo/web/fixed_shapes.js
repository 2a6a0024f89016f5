// LiteRT.js refuses inputs whose size a model leaves open, such as the number of ids of `embed`.

import {ByteBuffer} from 'flatbuffers';

// Offsets of fields in TensorFlow Lite's schema.
const MODEL_SUBGRAPHS = 8;
const SUBGRAPH_TENSORS = 4;
const SUBGRAPH_INPUTS = 6;
const SUBGRAPH_OUTPUTS = 8;
const TENSOR_SHAPE = 4;
const TENSOR_SHAPE_SIGNATURE = 18;
const MODEL_SIGNATURES = 18;
const SIGNATURE_NAME = 8;
const SIGNATURE_SUBGRAPH = 12;

/**
 * A copy of a model file whose open sizes are fixed.
 *
 * @param {Uint8Array} bytes the file
 * @param {object} sizes to what, by signature; elsewhere it is what the file holds as an example: 1
 */
export function withFixedShapes(bytes, sizes = {}) {
  const fixed = bytes.slice();
  const buffer = new ByteBuffer(fixed);
  const model = buffer.readInt32(0);
  const sizeOf = new Map(tables(buffer, model, MODEL_SIGNATURES).map((signature) => {
    const at = buffer.__offset(signature, SIGNATURE_SUBGRAPH);
    const name = buffer.__string(signature + buffer.__offset(signature, SIGNATURE_NAME));
    return [at === 0 ? 0 : buffer.readInt32(signature + at), sizes[name]];
  }));
  for (const [index, subgraph] of tables(buffer, model, MODEL_SUBGRAPHS).entries()) {
    // Operators compute the sizes of what lies between.
    const outside = new Set([SUBGRAPH_INPUTS, SUBGRAPH_OUTPUTS].flatMap((field) => integers(buffer, subgraph, field)));
    for (const [place, tensor] of tables(buffer, subgraph, SUBGRAPH_TENSORS).entries()) {
      const shape = vector(buffer, tensor, TENSOR_SHAPE);
      const signature = vector(buffer, tensor, TENSOR_SHAPE_SIGNATURE);
      for (let i = 0; i < signature.length; ++i) {
        if (buffer.readInt32(signature.start + 4 * i) >= 0) continue;
        const given = outside.has(place) ? sizeOf.get(index) : undefined;
        const size = given ?? buffer.readInt32(shape.start + 4 * i);
        buffer.writeInt32(shape.start + 4 * i, size);
        buffer.writeInt32(signature.start + 4 * i, size);
      }
    }
  }
  return fixed;
}

function vector(buffer, table, field) {
  const offset = buffer.__offset(table, field);
  if (offset === 0) return {start: 0, length: 0};
  return {start: buffer.__vector(table + offset), length: buffer.__vector_len(table + offset)};
}

function integers(buffer, table, field) {
  const {start, length} = vector(buffer, table, field);
  return Array.from({length}, (_, index) => buffer.readInt32(start + 4 * index));
}

function tables(buffer, table, field) {
  const {start, length} = vector(buffer, table, field);
  return Array.from({length}, (_, index) => buffer.__indirect(start + 4 * index));
}
