// The kernel of the op that updates rows of a table with slices of a gradient.
#pragma once

#include <string>
#include <vector>

#include "gradient.h"
#include "lookup.h"
#include "plan.h"
#include "runtime.h"
#include "updates.h"

namespace memcom {

template <class T>
class SparseUpdateOp : public OpKernel {
 public:
  explicit SparseUpdateOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, read_rule(c, &shape_, 1));
    OP_REQUIRES_OK(c, c->GetAttr("unique", &unique_));
  }
  void Compute(OpKernelContext* c) override {
    std::vector<int> inputs;
    for (int i = 0; i <= shape_.num_states; i++) inputs.push_back(i);
    const Variables variables(c, inputs, 1, type_of<T>(), true);
    OP_REQUIRES_OK(c, variables.status());
    const Tensor& indices = c->input(shape_.num_states + 1);
    const Tensor& values = c->input(shape_.num_states + 2);
    const Tensor& hyper = c->input(shape_.num_states + 3);
    const int64_t width = variables.width(0), rows = variables.rows(0);
    const Ids ids{indices.data(), indices.dtype() == tensorflow::DT_INT64, indices.NumElements()};
    OP_REQUIRES(c, values.NumElements() == ids.count * width,
                InvalidArgument("The gradient's values must be rows of the table. Received: ",
                                values.shape().DebugString(), " for ", ids.count, " rows"));
    OP_REQUIRES(c, hyper.NumElements() == shape_.num_hyper,
                InvalidArgument("The rule must get ", shape_.num_hyper, " hyper-parameters"));
    if (ids.count == 0 || width == 0) return;
    const int64_t outside = find_outside(ids, rows);
    OP_REQUIRES(c, outside < 0,
                InvalidArgument("A gradient's rows must be in [0, ", rows,
                                "). Received: row=", ids.at(outside)));
    for (size_t i = 0; i < variables.count(); i++) OP_REQUIRES_OK(c, variables.make_writable(c, i));
    Updated<T> table{};
    OP_REQUIRES_OK(c, bind_update(variables, shape_, 0, 1, hyper.flat<float>().data(), &table));
    const T* const gradient = static_cast<const T*>(values.data());
    if (unique_ && ids.is_int64) {
      const int64_t* const p = static_cast<const int64_t*>(ids.data);
      shard(c, ids.count, width * 4 + 100, [&](int64_t first, int64_t last) {
        apply_unique(shape_.rule, table, width, p, gradient, ids.count, first, last);
      });
      return;
    }
    // Slices with duplicates are a lookup of single rows, backwards.
    Program program;
    const std::string wrong =
        program.parse({rows, 0, 1, 0, width, 0, 1, width, 1, 1, 0}, {1.0f}, 1);
    OP_REQUIRES(c, wrong.empty() && program.bind({rows}, {width}).empty(),
                InvalidArgument("The table is too large: ", wrong));
    const Lookup<T> lookup{&program,        nullptr, ids,    {ids.count, 1, nullptr},
                           Combiner::kNone, false,   nullptr};
    const Pass pass = passes_of(program)[0];
    OP_REQUIRES_OK(c, for_each_part(c, ids.count, [&](const Part& part, Workspace* workspace) {
                     Plan* const plan = &workspace->plan;
                     std::string too_large = make_plan(lookup, pass, plan, part);
                     if (too_large.empty())
                       apply_slices(shape_.rule, table, width, *plan, gradient, 0, plan->num_ids());
                     return too_large;
                   }));
  }

 private:
  RuleShape shape_;
  bool unique_;
};

}  // namespace memcom
