// The kernels of the ops on lookups: forward, gradients, and gradient and optimizer in one.
#pragma once

#include <numeric>
#include <string>
#include <vector>

#include "gradient.h"
#include "lookup.h"
#include "plan.h"
#include "runtime.h"
#include "updates.h"

namespace memcom {

// Shares the stretches of a gradient among threads.
inline auto sharing(OpKernelContext* c, const Groups& groups) {
  constexpr int64_t kCostOfEntry = 1000;  // in cycles
  const int64_t entries = groups.start.back();
  return [c, entries](int64_t count, const std::function<void(int64_t, int64_t)>& work) {
    if (count > 0) shard(c, count, entries * kCostOfEntry / count, work);
  };
}

// What the ops on lookups share: the attributes, and the inputs up to the weights.
template <class T>
class LookupKernel : public OpKernel {
 public:
  explicit LookupKernel(OpKernelConstruction* c, bool updates = false)
      : OpKernel(c), updates_(updates) {
    std::vector<int64_t> code;
    std::vector<float> constants;
    std::string combiner;
    OP_REQUIRES_OK(c, c->GetAttr("N", &num_tables_));
    OP_REQUIRES_OK(c, c->GetAttr("program", &code));
    OP_REQUIRES_OK(c, c->GetAttr("constants", &constants));
    OP_REQUIRES_OK(c, c->GetAttr("combiner", &combiner));
    OP_REQUIRES_OK(c, c->GetAttr("ragged", &ragged_));
    OP_REQUIRES_OK(c, c->GetAttr("weighted", &weighted_));
    OP_REQUIRES_OK(c, c->GetAttr("mask_zero", &mask_zero_));
    int64_t output_dim;
    OP_REQUIRES_OK(c, c->GetAttr("output_dim", &output_dim));
    combiner_ = combiner == "sum"     ? Combiner::kSum
                : combiner == "mean"  ? Combiner::kMean
                : combiner == "sqrtn" ? Combiner::kSqrtn
                                      : Combiner::kNone;
    const std::string wrong = program_.parse(code, constants, num_tables_);
    OP_REQUIRES(c, wrong.empty(),
                InvalidArgument("A program of a lookup must be well-formed. Received: ", wrong));
    OP_REQUIRES(c, output_dim == program_.output_dim,
                InvalidArgument("`output_dim` must be that of the program, ", program_.output_dim,
                                ". Received: output_dim=", output_dim));
  }

  void Compute(OpKernelContext* c) final {
    std::vector<int> inputs(num_tables_);
    std::iota(inputs.begin(), inputs.end(), 0);
    for (int s = 0; s < num_states(); s++) inputs.push_back(num_tables_ + 4 + s);
    const Variables variables(c, inputs, num_tables_, type_of<T>(), updates_);
    OP_REQUIRES_OK(c, variables.status());
    Call call;
    OP_REQUIRES_OK(c, prepare(c, variables, &call));
    OP_REQUIRES_OK(c, run(c, variables, call));
  }

 protected:
  // The inputs of one execution, checked and bound.
  struct Call {
    Program program;
    std::vector<const T*> tables;
    Lookup<T> lookup;
    TensorShape bags_shape;
    int64_t cost_of_bag;  // in cycles, of its lookups
  };

  virtual absl::Status run(OpKernelContext* c, const Variables& variables,
                           const Call& call) const = 0;
  // Variables of an optimizer, which follow the gradient among the inputs.
  virtual int num_states() const { return 0; }

  absl::Status gradient_of(OpKernelContext* c, const Call& call, const float** gradient) const {
    const Tensor& tensor = c->input(num_tables_ + 3);
    const int64_t expected = call.lookup.bags.count * program_.output_dim;
    if (tensor.NumElements() != expected)
      return InvalidArgument("The gradient must have the shape of the vectors. Received: ",
                             tensor.shape().DebugString());
    *gradient = tensor.flat<float>().data();
    return absl::OkStatus();
  }

  // Sorts the batch, and hands each pass to `run(pass, groups)`.
  template <class Run>
  absl::Status for_each_pass(const Call& call, const Run& run) const {
    Workspaces::Lease workspace(Workspaces::shared());
    const std::vector<Pass> passes = passes_of(call.program);
    std::string wrong = make_plan(call.lookup, passes[0], &workspace->plan);
    if (workspace->groups.size() < passes.size()) workspace->groups.resize(passes.size());
    for (size_t p = 0; p < passes.size() && wrong.empty(); p++)
      wrong = make_groups(call.program, passes[p], workspace->plan, &workspace->plan.buffer,
                          &workspace->groups[p]);
    if (!wrong.empty()) return InvalidArgument("A batch must be smaller: ", wrong, ".");
    for (size_t p = 0; p < passes.size(); p++)
      TF_RETURN_IF_ERROR(run(passes[p], workspace->plan, workspace->groups[p]));
    return absl::OkStatus();
  }

  int num_tables_;
  Program program_;

 private:
  // Checks every input; afterwards nothing can be read outside.
  absl::Status prepare(OpKernelContext* c, const Variables& variables, Call* call) const {
    call->program = program_;
    std::vector<int64_t> rows, widths;
    for (int t = 0; t < num_tables_; t++) {
      rows.push_back(variables.rows(t));
      widths.push_back(variables.width(t));
      call->tables.push_back(static_cast<const T*>(variables.tensor(t).data()));
    }
    const std::string unbound = call->program.bind(rows, widths);
    if (!unbound.empty()) return InvalidArgument("Tables must fit the program: ", unbound, ".");
    const Tensor& ids = c->input(num_tables_);
    const Tensor& splits = c->input(num_tables_ + 1);
    const Tensor& weights = c->input(num_tables_ + 2);
    Lookup<T>& x = call->lookup;
    x.program = &call->program;
    x.tables = call->tables.data();
    x.ids = {ids.data(), ids.dtype() == tensorflow::DT_INT64, ids.NumElements()};
    x.combiner = combiner_;
    x.mask_zero = mask_zero_ && combiner_ != Combiner::kNone;
    x.weights = weighted_ ? weights.flat<float>().data() : nullptr;
    if (weighted_ && weights.NumElements() != x.ids.count)
      return InvalidArgument(
          "`weights` must have the shape of the ids. Received: ids=", ids.shape().DebugString(),
          ", weights=", weights.shape().DebugString());
    const int64_t outside = find_outside(x.ids, program_.input_dim);
    if (outside >= 0)
      return InvalidArgument("Ids must be in [0, ", program_.input_dim,
                             "), the vocabulary. Received: id=", x.ids.at(outside), " at position ",
                             outside, ". Map items to ids with memcom_tf.Vocabulary.");
    if (ragged_) {
      const int64_t num_splits = splits.NumElements();
      const int64_t* p = static_cast<const int64_t*>(splits.data());
      const std::string wrong = check_splits(p, num_splits, x.ids.count);
      if (!wrong.empty()) return InvalidArgument("In a ragged batch ", wrong, ".");
      x.bags = {num_splits - 1, 0, p};
      call->bags_shape = TensorShape({num_splits - 1});
    } else if (combiner_ == Combiner::kNone) {
      x.bags = {x.ids.count, 1, nullptr};
      call->bags_shape = ids.shape();
    } else {
      if (ids.dims() < 1) return InvalidArgument("Pooled ids must have at least one axis.");
      TensorShape shape = ids.shape();
      const int64_t size = shape.dim_size(shape.dims() - 1);
      shape.RemoveLastDims(1);
      x.bags = {shape.num_elements(), size, nullptr};
      call->bags_shape = shape;
    }
    const int64_t ids_a_bag = x.bags.count ? x.ids.count / x.bags.count + 1 : 1;
    call->cost_of_bag = ids_a_bag * (program_.output_dim + 10);
    return absl::OkStatus();
  }

  const bool updates_;
  Combiner combiner_;
  bool ragged_, weighted_, mask_zero_;
};

template <class T>
class LookupOp : public LookupKernel<T> {
 public:
  using LookupKernel<T>::LookupKernel;

 private:
  using typename LookupKernel<T>::Call;
  absl::Status run(OpKernelContext* c, const Variables&, const Call& call) const override {
    TensorShape shape = call.bags_shape;
    shape.AddDim(call.program.output_dim);
    Tensor* vectors;
    TF_RETURN_IF_ERROR(c->allocate_output(0, shape, &vectors));
    float* const out = vectors->flat<float>().data();
    shard(c, call.lookup.bags.count, call.cost_of_bag,
          [&](int64_t first, int64_t last) { look_up(call.lookup, first, last, out); });
    return absl::OkStatus();
  }
};

template <class T>
class LookupGradientOp : public LookupKernel<T> {
 public:
  using LookupKernel<T>::LookupKernel;

 private:
  using typename LookupKernel<T>::Call;
  absl::Status run(OpKernelContext* c, const Variables& variables,
                   const Call& call) const override {
    const int num_tables = this->num_tables_;
    const float* gradient = nullptr;
    TF_RETURN_IF_ERROR(this->gradient_of(c, call, &gradient));
    std::vector<Slices<T>> slices(num_tables);
    std::vector<bool> written(num_tables, false);
    const auto allocate = [&](int table, int64_t count) -> absl::Status {
      Tensor *indices, *values;
      TF_RETURN_IF_ERROR(c->allocate_output(table, TensorShape({count}), &indices));
      TF_RETURN_IF_ERROR(c->allocate_output(num_tables + table,
                                            TensorShape({count, variables.width(table)}), &values));
      slices[table] = {static_cast<int64_t*>(indices->data()), static_cast<T*>(values->data())};
      written[table] = true;
      return absl::OkStatus();
    };
    TF_RETURN_IF_ERROR(
        this->for_each_pass(call, [&](const Pass& pass, const Plan& plan, const Groups& groups) {
          TF_RETURN_IF_ERROR(allocate(pass.table, groups.num_rows));
          for (const int rider : pass.riders)
            TF_RETURN_IF_ERROR(allocate(call.program.gathers[rider].table, plan.num_ids()));
          const WriteSlices<T> sink{slices.data()};
          gradient_pass(call.lookup, plan, pass, groups, gradient, sink, sharing(c, groups));
          return absl::OkStatus();
        }));
    for (int t = 0; t < num_tables; t++)
      if (!written[t]) TF_RETURN_IF_ERROR(allocate(t, 0));  // a table that the program never reads
    return absl::OkStatus();
  }
};

template <class T>
class LookupWeightsGradientOp : public LookupKernel<T> {
 public:
  using LookupKernel<T>::LookupKernel;

 private:
  using typename LookupKernel<T>::Call;
  absl::Status run(OpKernelContext* c, const Variables&, const Call& call) const override {
    const float* gradient = nullptr;
    TF_RETURN_IF_ERROR(this->gradient_of(c, call, &gradient));
    Tensor* by_weights;
    const TensorShape& shape = c->input(this->num_tables_ + 2).shape();
    TF_RETURN_IF_ERROR(c->allocate_output(0, shape, &by_weights));
    if (!call.lookup.weights) return absl::OkStatus();
    float* const out = by_weights->flat<float>().data();
    shard(c, call.lookup.bags.count, call.cost_of_bag, [&](int64_t first, int64_t last) {
      weights_gradient(call.lookup, gradient, first, last, out);
    });
    return absl::OkStatus();
  }
};

// Gradient and optimizer's step in one: the gradient is never written down.
template <class T>
class LookupUpdateOp : public LookupKernel<T> {
 public:
  explicit LookupUpdateOp(OpKernelConstruction* c) : LookupKernel<T>(c, true) {
    OP_REQUIRES_OK(c, read_rule(c, &shape_, this->num_tables_));
    OP_REQUIRES(c, updates_in_place(this->program_),
                InvalidArgument("Tables that are updated in one op must not be read for each "
                                "other's gradients. Use the gradient's slices."));
  }

 private:
  using typename LookupKernel<T>::Call;
  int num_states() const override { return this->num_tables_ * shape_.num_states; }

  absl::Status run(OpKernelContext* c, const Variables& variables,
                   const Call& call) const override {
    const int tables = this->num_tables_;
    const float* gradient = nullptr;
    TF_RETURN_IF_ERROR(this->gradient_of(c, call, &gradient));
    const Tensor& hyper = c->input(tables + 4 + num_states());
    if (hyper.NumElements() != (int64_t)tables * shape_.num_hyper)
      return InvalidArgument("Each table must get ", shape_.num_hyper,
                             " hyper-parameters. Received: ", hyper.shape().DebugString());
    std::vector<Updated<T>> updated(tables, Updated<T>{});
    for (int t = 0; t < tables; t++)
      TF_RETURN_IF_ERROR(bind_update(variables, shape_, t, (size_t)(tables + t * shape_.num_states),
                                     hyper.flat<float>().data() + t * shape_.num_hyper,
                                     &updated[t]));
    const UpdateTables<T> sink{shape_.rule, updated.data()};
    const std::vector<Pass> passes = passes_of(call.program);
    if (passes.size() == 1) return update_in_parts(c, call, passes[0], gradient, sink);
    return this->for_each_pass(call, [&](const Pass& pass, const Plan& plan, const Groups& groups) {
      gradient_pass(call.lookup, plan, pass, groups, gradient, sink, sharing(c, groups));
      return absl::OkStatus();
    });
  }

  // Each thread sorts its part of the rows, and updates them.
  static absl::Status update_in_parts(OpKernelContext* c, const Call& call, const Pass& pass,
                                      const float* gradient, const UpdateTables<T>& sink) {
    return for_each_part(c, call.lookup.ids.count, [&](const Part& part, Workspace* workspace) {
      if (workspace->groups.empty()) workspace->groups.resize(1);
      Plan* const plan = &workspace->plan;
      Groups* const groups = &workspace->groups[0];
      std::string wrong = make_plan(call.lookup, pass, plan, part);
      if (wrong.empty()) wrong = make_groups(call.program, pass, *plan, &plan->buffer, groups);
      if (wrong.empty())
        gradient_pass(call.lookup, *plan, pass, *groups, gradient, sink,
                      [](int64_t count, const auto& work) { work(0, count); });
      return wrong;
    });
  }

  RuleShape shape_;
};

}  // namespace memcom
