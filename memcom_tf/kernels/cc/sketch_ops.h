// The kernel of the op that counts ids in a sketch.
#pragma once

#include <limits>
#include <vector>

#include "lookup.h"
#include "runtime.h"
#include "sketch.h"

namespace memcom {

class SketchInsertOp : public OpKernel {
 public:
  explicit SketchInsertOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("input_dim", &input_dim_));
    OP_REQUIRES_OK(c, c->GetAttr("multiplier", &hash_.multiplier));
    OP_REQUIRES_OK(c, c->GetAttr("increment", &hash_.increment));
    OP_REQUIRES_OK(c, c->GetAttr("prime", &hash_.prime));
    const UniversalHash hash{hash_.multiplier, hash_.increment, hash_.prime, 1};
    OP_REQUIRES(
        c, input_dim_ > 0 && input_dim_ < std::numeric_limits<int32_t>::max() && hash.is_valid(),
        InvalidArgument(
            "`input_dim` must be in [1, 2^31 - 1), `prime` in [1, 2^31), and `multiplier` and "
            "`increment` below it. Received: input_dim=",
            input_dim_, ", multiplier=", hash.multiplier, ", increment=", hash.increment,
            ", prime=", hash.prime));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor& given = c->input(3);
    const Tensor& values = c->input(4);
    const Ids ids{given.data(), given.dtype() == tensorflow::DT_INT64, given.NumElements()};
    const bool one_for_all = values.NumElements() == 1;
    OP_REQUIRES(
        c, one_for_all || values.NumElements() == ids.count,
        InvalidArgument("`values` must be as many as ids, or one. Received: ids=",
                        given.shape().DebugString(), ", values=", values.shape().DebugString()));
    const int64_t outside = find_outside(ids, input_dim_);
    OP_REQUIRES(
        c, outside < 0,
        InvalidArgument("Ids must be in [0, ", input_dim_, "), the vocabulary. Received: id=",
                        outside < 0 ? 0 : ids.at(outside), " at position ", outside, "."));
    if (ids.count == 0) return;
    SummedIds batch;
    batch.sum(ids, values.flat<float>().data(), one_for_all);
    const Variables variables(c, {0, 1, 2}, 2, tensorflow::DT_INT32, true);
    OP_REQUIRES_OK(c, variables.status());
    UniversalHash hash = hash_;
    hash.buckets = variables.rows(0);
    for (size_t i = 0; i < variables.count(); i++) {
      OP_REQUIRES(c,
                  variables.tensor(i).dims() == 2 && hash.buckets > 0 &&
                      variables.rows(i) == hash.buckets && variables.width(i) == kCells,
                  InvalidArgument("The tables of a sketch must be [num_buckets, ", kCells,
                                  "]. Received: ", variables.tensor(i).shape().DebugString()));
    }
    OP_REQUIRES_OK(c, variables.make_writable(c, 0));
    OP_REQUIRES_OK(c, variables.make_writable(c, 2));
    insert({static_cast<int32_t*>(variables.tensor(0).data()),
            static_cast<const int32_t*>(variables.tensor(1).data()),
            static_cast<float*>(variables.tensor(2).data())},
           hash, batch);
  }

 private:
  int64_t input_dim_;
  UniversalHash hash_{};
};

}  // namespace memcom
