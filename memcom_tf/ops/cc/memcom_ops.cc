// The ops that TensorFlow knows, and the kernels behind them.
#include <string>

#include "absl/status/status.h"
#include "lookup_ops.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "update_ops.h"

namespace memcom {
namespace {

using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

absl::Status LookupShape(InferenceContext* c) {
  int tables;
  int64_t width;
  std::string combiner;
  bool ragged;
  TF_RETURN_IF_ERROR(c->GetAttr("N", &tables));
  TF_RETURN_IF_ERROR(c->GetAttr("output_dim", &width));
  TF_RETURN_IF_ERROR(c->GetAttr("combiner", &combiner));
  TF_RETURN_IF_ERROR(c->GetAttr("ragged", &ragged));
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

REGISTER_OP("Memcom>Lookup")
    .Input("tables: N * resource")
    .Input("ids: Tids")
    .Input("row_splits: int64")
    .Input("weights: float")
    .Output("vectors: float") MEMCOM_LOOKUP_ATTRS.SetShapeFn(LookupShape);

REGISTER_OP("Memcom>LookupGradient")
    .Input("tables: N * resource")
    .Input("ids: Tids")
    .Input("row_splits: int64")
    .Input("weights: float")
    .Input("gradient: float")
    .Output("indices: N * int64")
    .Output("values: N * T") MEMCOM_LOOKUP_ATTRS.SetShapeFn(GradientShape);

REGISTER_OP("Memcom>LookupWeightsGradient")
    .Input("tables: N * resource")
    .Input("ids: Tids")
    .Input("row_splits: int64")
    .Input("weights: float")
    .Input("gradient: float")
    .Output("weights_gradient: float") MEMCOM_LOOKUP_ATTRS.SetShapeFn([](InferenceContext* c) {
      int tables;
      TF_RETURN_IF_ERROR(c->GetAttr("N", &tables));
      c->set_output(0, c->input(tables + 2));
      return absl::OkStatus();
    });

REGISTER_OP("Memcom>LookupUpdate")
    .Input("tables: N * resource")
    .Input("ids: Tids")
    .Input("row_splits: int64")
    .Input("weights: float")
    .Input("gradient: float")
    .Input("states: S * resource")
    .Input("hyper: float")
    .Attr("S: int >= 0")
    .Attr("rule: string") MEMCOM_LOOKUP_ATTRS.SetShapeFn(NoShape);

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
MEMCOM_REGISTER("Memcom>LookupGradient", LookupGradientOp)
MEMCOM_REGISTER("Memcom>LookupWeightsGradient", LookupWeightsGradientOp)
MEMCOM_REGISTER("Memcom>LookupUpdate", LookupUpdateOp)
MEMCOM_REGISTER("Memcom>SparseUpdate", SparseUpdateOp)

}  // namespace
}  // namespace memcom
