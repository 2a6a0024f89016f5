// LiteRT.js refuses inputs whose size a model leaves open, such as the number of ids of `embed`.

import {ByteBuffer} from 'flatbuffers';

// Offsets of fields in TensorFlow Lite's schema.
const MODEL_SUBGRAPHS = 8;
const SUBGRAPH_TENSORS = 4;
const TENSOR_SHAPE = 4;
const TENSOR_SHAPE_SIGNATURE = 18;

/** A copy of a model file whose open sizes are what the file holds as an example: 1. */
export function withFixedShapes(bytes) {
  const fixed = bytes.slice();
  const buffer = new ByteBuffer(fixed);
  const model = buffer.readInt32(0);
  for (const subgraph of tables(buffer, model, MODEL_SUBGRAPHS)) {
    for (const tensor of tables(buffer, subgraph, SUBGRAPH_TENSORS)) {
      const shape = vector(buffer, tensor, TENSOR_SHAPE);
      const signature = vector(buffer, tensor, TENSOR_SHAPE_SIGNATURE);
      for (let i = 0; i < signature.length; ++i) {
        if (buffer.readInt32(signature.start + 4 * i) < 0) {
          buffer.writeInt32(signature.start + 4 * i, buffer.readInt32(shape.start + 4 * i));
        }
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

function tables(buffer, table, field) {
  const {start, length} = vector(buffer, table, field);
  return Array.from({length}, (_, index) => buffer.__indirect(start + 4 * index));
}
