// The kernels of the ops that count ids in a sketch, and find their rows.
#pragma once

#include <limits>
#include <vector>

#include "lookup.h"
#include "runtime.h"
#include "sketch.h"

namespace memcom {

// What both ops share: the hash function, and the ids.
class SketchOp : public OpKernel {
 public:
  explicit SketchOp(OpKernelConstruction* c) : OpKernel(c) {
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

 protected:
  absl::Status read_ids(const Tensor& given, Ids* ids) const {
    *ids = {given.data(), given.dtype() == tensorflow::DT_INT64, given.NumElements()};
    const int64_t outside = find_outside(*ids, input_dim_);
    if (outside < 0) return absl::OkStatus();
    return InvalidArgument("Ids must be in [0, ", input_dim_,
                           "), the vocabulary. Received: id=", ids->at(outside), " at position ",
                           outside, ".");
  }

  absl::Status read_cells(const Variables& variables, UniversalHash* hash) const {
    TF_RETURN_IF_ERROR(variables.status());
    *hash = hash_;
    hash->buckets = variables.rows(0);
    for (size_t i = 0; i < variables.count(); i++) {
      if (variables.tensor(i).dims() != 2 || hash->buckets < 1 ||
          variables.rows(i) != hash->buckets || variables.width(i) != kCells)
        return InvalidArgument("The tables of a sketch must be [num_buckets, ", kCells,
                               "]. Received: ", variables.tensor(i).shape().DebugString());
    }
    return absl::OkStatus();
  }

 private:
  int64_t input_dim_;
  UniversalHash hash_{};
};

class SketchInsertOp : public SketchOp {
 public:
  using SketchOp::SketchOp;
  void Compute(OpKernelContext* c) override {
    Ids ids;
    OP_REQUIRES_OK(c, read_ids(c->input(4), &ids));
    const Tensor& values = c->input(5);
    const bool one_for_all = values.NumElements() == 1;
    OP_REQUIRES(c, one_for_all || values.NumElements() == ids.count,
                InvalidArgument("`values` must be as many as ids, or one. Received: ids=",
                                c->input(4).shape().DebugString(),
                                ", values=", values.shape().DebugString()));
    if (ids.count == 0) return;
    SummedIds batch;
    batch.sum(ids, values.flat<float>().data(), one_for_all);
    const Variables variables(c, {0, 1, 2, 3}, 2, tensorflow::DT_INT32, true);
    UniversalHash hash{};
    OP_REQUIRES_OK(c, read_cells(variables, &hash));
    OP_REQUIRES_OK(c, variables.make_writable(c, 0));
    OP_REQUIRES_OK(c, variables.make_writable(c, 2));
    OP_REQUIRES_OK(c, variables.make_writable(c, 3));
    insert({static_cast<int32_t*>(variables.tensor(0).data()),
            static_cast<const int32_t*>(variables.tensor(1).data()),
            static_cast<float*>(variables.tensor(2).data()),
            static_cast<float*>(variables.tensor(3).data())},
           hash, batch);
  }
};

class SketchFindOp : public SketchOp {
 public:
  using SketchOp::SketchOp;
  void Compute(OpKernelContext* c) override {
    Ids ids;
    OP_REQUIRES_OK(c, read_ids(c->input(2), &ids));
    const Variables variables(c, {0, 1}, 2, tensorflow::DT_INT32, false);
    UniversalHash hash{};
    OP_REQUIRES_OK(c, read_cells(variables, &hash));
    Tensor* found = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, c->input(2).shape(), &found));
    const int32_t* const cells = static_cast<const int32_t*>(variables.tensor(0).data());
    const int32_t* const rows = static_cast<const int32_t*>(variables.tensor(1).data());
    int32_t* const out = found->flat<int32_t>().data();
    constexpr int64_t kCostOfId = 50;
    shard(c, ids.count, kCostOfId, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) out[i] = row_of(cells, rows, hash, ids.at(i));
    });
  }
};

}  // namespace memcom
