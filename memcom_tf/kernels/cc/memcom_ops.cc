// The ops that TensorFlow knows, and the kernels behind them.
#include <string>

#include "absl/status/status.h"
#include "lookup_ops.h"
#include "sketch_ops.h"
#include "snapshot.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/framework/variant_op_registry.h"
#include "update_ops.h"

namespace memcom {
namespace {

using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

absl::Status LookupShape(InferenceContext* c) {
  int tables, codes;
  int64_t width;
  std::string combiner;
  bool ragged;
  TF_RETURN_IF_ERROR(c->GetAttr("N", &tables));
  if (c->GetAttr("M", &codes).ok()) tables += codes;
  TF_RETURN_IF_ERROR(c->GetAttr("output_dim", &width));
  TF_RETURN_IF_ERROR(c->GetAttr("combiner", &combiner));
  TF_RETURN_IF_ERROR(c->GetAttr("ragged", &ragged));
  if (c->num_outputs() > 1) c->set_output(1, c->Scalar());
  if (width < 1) return InvalidArgument("`output_dim` must be positive. Received: ", width);
  ShapeHandle bags = c->input(tables);
  if (ragged) {
    DimensionHandle count;
    TF_RETURN_IF_ERROR(c->Subtract(c->NumElements(c->input(tables + 1)), 1, &count));
    bags = c->Vector(count);
  } else if (combiner != "none") {
    TF_RETURN_IF_ERROR(c->WithRankAtLeast(bags, 1, &bags));
    TF_RETURN_IF_ERROR(c->Subshape(bags, 0, -1, &bags));
  }
  ShapeHandle out;
  TF_RETURN_IF_ERROR(c->Concatenate(bags, c->Vector(width), &out));
  c->set_output(0, out);
  return absl::OkStatus();
}

absl::Status GradientShape(InferenceContext* c) {
  int tables;
  TF_RETURN_IF_ERROR(c->GetAttr("N", &tables));
  for (int t = 0; t < tables; t++) {
    c->set_output(t, c->Vector(c->UnknownDim()));
    c->set_output(tables + t, c->Matrix(c->UnknownDim(), c->UnknownDim()));
  }
  return absl::OkStatus();
}

absl::Status NoShape(InferenceContext*) { return absl::OkStatus(); }

#define MEMCOM_LOOKUP_ATTRS                               \
  .Attr("N: int >= 1")                                    \
      .Attr("T: {float, bfloat16, half}")                 \
      .Attr("Tids: {int32, int64}")                       \
      .Attr("program: list(int)")                         \
      .Attr("constants: list(float)")                     \
      .Attr("output_dim: int")                            \
      .Attr("combiner: {'none', 'sum', 'mean', 'sqrtn'}") \
      .Attr("ragged: bool")                               \
      .Attr("weighted: bool")                             \
      .Attr("mask_zero: bool")                            \
      .Attr("updates_in_place: bool")

// The tables of codes that a program loads from.
#define MEMCOM_CODES .Attr("M: int >= 0 = 0")

absl::Status WeightsGradientShape(InferenceContext* c) {
  c->set_output(0, c->input(c->num_inputs() - 2));
  return absl::OkStatus();
}

// The inputs of a lookup after its tables.
#define MEMCOM_BATCH .Input("ids: Tids").Input("row_splits: int64").Input("weights: float")
#define MEMCOM_SLICES .Output("indices: N * int64").Output("values: N * T")
#define MEMCOM_UPDATE \
  .Input("states: S * resource").Input("hyper: float").Attr("S: int >= 0").Attr("rule: string")

// In training a lookup hands a snapshot of its tables to its gradient ...
REGISTER_OP("Memcom>LookupAndSnapshot")
    .Input("tables: N * resource")
    .Input("codes: M * resource") MEMCOM_BATCH.Output("vectors: float")
    .Output("snapshot: variant") MEMCOM_CODES MEMCOM_LOOKUP_ATTRS.SetShapeFn(LookupShape);

REGISTER_OP("Memcom>LookupSnapshotGradient")
    .Input("snapshot: variant")
        MEMCOM_BATCH.Input("gradient: float")
            MEMCOM_SLICES MEMCOM_CODES MEMCOM_LOOKUP_ATTRS.SetShapeFn(GradientShape);

REGISTER_OP("Memcom>LookupSnapshotWeightsGradient")
    .Input("snapshot: variant") MEMCOM_BATCH.Input("gradient: float")
    .Output("weights_gradient: float")
        MEMCOM_CODES MEMCOM_LOOKUP_ATTRS.SetShapeFn(WeightsGradientShape);

REGISTER_OP("Memcom>LookupSnapshotUpdate")
    .Input("tables: N * resource")
    .Input("snapshot: variant") MEMCOM_BATCH
    .Input("gradient: float") MEMCOM_UPDATE MEMCOM_CODES MEMCOM_LOOKUP_ATTRS.SetShapeFn(NoShape);

// ... and these, which graphs may hold that were saved, take the tables as they are, and no codes.
REGISTER_OP("Memcom>Lookup")
    .Input("tables: N * resource") MEMCOM_BATCH.Output("vectors: float")
        MEMCOM_LOOKUP_ATTRS.SetShapeFn(LookupShape);

REGISTER_OP("Memcom>LookupGradient")
    .Input("tables: N * resource") MEMCOM_BATCH
    .Input("gradient: float") MEMCOM_SLICES MEMCOM_LOOKUP_ATTRS.SetShapeFn(GradientShape);

REGISTER_OP("Memcom>LookupWeightsGradient")
    .Input("tables: N * resource") MEMCOM_BATCH.Input("gradient: float")
    .Output("weights_gradient: float") MEMCOM_LOOKUP_ATTRS.SetShapeFn(WeightsGradientShape);

REGISTER_OP("Memcom>LookupUpdate")
    .Input("tables: N * resource")
        MEMCOM_BATCH.Input("gradient: float") MEMCOM_UPDATE MEMCOM_LOOKUP_ATTRS.SetShapeFn(NoShape);

REGISTER_OP("Memcom>SparseUpdate")
    .Input("table: resource")
    .Input("states: S * resource")
    .Input("indices: Tids")
    .Input("values: T")
    .Input("hyper: float")
    .Attr("S: int >= 0")
    .Attr("T: {float, bfloat16, half}")
    .Attr("Tids: {int32, int64}")
    .Attr("rule: string")
    .Attr("unique: bool")
    .SetShapeFn(NoShape);

#define MEMCOM_SKETCH_ATTRS     \
  .Attr("Tids: {int32, int64}") \
      .Attr("input_dim: int")   \
      .Attr("multiplier: int")  \
      .Attr("increment: int")   \
      .Attr("prime: int")

REGISTER_OP("Memcom>SketchInsert")
    .Input("cell_ids: resource")
    .Input("cell_rows: resource")
    .Input("cell_scores: resource")
    .Input("cell_errors: resource")
    .Input("ids: Tids")
    .Input("values: float") MEMCOM_SKETCH_ATTRS.SetShapeFn(NoShape);

REGISTER_OP("Memcom>SketchFind")
    .Input("cell_ids: resource")
    .Input("cell_rows: resource")
    .Input("ids: Tids")
    .Output("rows: int32") MEMCOM_SKETCH_ATTRS.SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(2));
      return absl::OkStatus();
    });

#define MEMCOM_REGISTER(NAME, KERNEL)                                                           \
  REGISTER_KERNEL_BUILDER(Name(NAME).Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"), \
                          KERNEL<float>);                                                       \
  REGISTER_KERNEL_BUILDER(                                                                      \
      Name(NAME).Device(tensorflow::DEVICE_CPU).TypeConstraint<tensorflow::bfloat16>("T"),      \
      KERNEL<BFloat16>);                                                                        \
  REGISTER_KERNEL_BUILDER(                                                                      \
      Name(NAME).Device(tensorflow::DEVICE_CPU).TypeConstraint<Eigen::half>("T"),               \
      KERNEL<Float16>);

MEMCOM_REGISTER("Memcom>Lookup", LookupOp)
MEMCOM_REGISTER("Memcom>LookupAndSnapshot", LookupOp)
MEMCOM_REGISTER("Memcom>LookupGradient", LookupGradientOp)
MEMCOM_REGISTER("Memcom>LookupSnapshotGradient", LookupGradientOp)
MEMCOM_REGISTER("Memcom>LookupWeightsGradient", LookupWeightsGradientOp)
MEMCOM_REGISTER("Memcom>LookupSnapshotWeightsGradient", LookupWeightsGradientOp)
MEMCOM_REGISTER("Memcom>LookupUpdate", LookupUpdateOp)
MEMCOM_REGISTER("Memcom>LookupSnapshotUpdate", LookupUpdateOp)
MEMCOM_REGISTER("Memcom>SparseUpdate", SparseUpdateOp)
REGISTER_KERNEL_BUILDER(Name("Memcom>SketchInsert").Device(tensorflow::DEVICE_CPU), SketchInsertOp);
REGISTER_KERNEL_BUILDER(Name("Memcom>SketchFind").Device(tensorflow::DEVICE_CPU), SketchFindOp);

}  // namespace
}  // namespace memcom

// What TensorFlow takes for the gradient of a snapshot, which nobody reads.
namespace tensorflow {
namespace {

absl::Status NoSnapshot(OpKernelContext*, const memcom::SnapshotHandle&, memcom::SnapshotHandle*) {
  return absl::OkStatus();
}
absl::Status AddNoSnapshots(OpKernelContext*, const memcom::SnapshotHandle&,
                            const memcom::SnapshotHandle&, memcom::SnapshotHandle*) {
  return absl::OkStatus();
}
REGISTER_UNARY_VARIANT_UNARY_OP_FUNCTION(ZEROS_LIKE_VARIANT_UNARY_OP, DEVICE_CPU,
                                         memcom::SnapshotHandle, NoSnapshot);
REGISTER_UNARY_VARIANT_BINARY_OP_FUNCTION(ADD_VARIANT_BINARY_OP, DEVICE_CPU, memcom::SnapshotHandle,
                                          AddNoSnapshots);

}  // namespace
}  // namespace tensorflow
