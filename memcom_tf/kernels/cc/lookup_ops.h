// The kernels of the ops on lookups: forward and gradients.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <numeric>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "gradient.h"
#include "lookup.h"
#include "plan.h"
#include "runtime.h"
#include "snapshot.h"
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

inline std::vector<int> range(int first, int count) {
  std::vector<int> numbers(count);
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

// What the ops on lookups share: the attributes, and the inputs from the ids to the gradient.
template <class T>
class LookupKernel : public OpKernel {
 public:
  explicit LookupKernel(OpKernelConstruction* c) : OpKernel(c) {
    std::vector<int64_t> code;
    std::vector<float> constants;
    std::string combiner;
    OP_REQUIRES_OK(c, c->GetAttr("N", &num_tables_));
    if (c->HasAttr("M")) OP_REQUIRES_OK(c, c->GetAttr("M", &num_codes_));
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
    OP_REQUIRES(c, !ragged_ || combiner_ != Combiner::kNone,
                InvalidArgument("Ragged ids must be pooled."));
    const std::string wrong = program_.parse(code, constants, num_tables_, num_codes_);
    OP_REQUIRES(c, wrong.empty(),
                InvalidArgument("A program of a lookup must be well-formed. Received: ", wrong));
    OP_REQUIRES(c, output_dim == program_.output_dim,
                InvalidArgument("`output_dim` must be that of the program, ", program_.output_dim,
                                ". Received: output_dim=", output_dim));
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

  // An error if there is a code that reaches its limit. No row outside of a table is read where
  // nobody asks.
  static absl::Status check_codes(const Call& call) {
    const BadCode bad = find_bad_code(call.program, call.lookup.ids);
    if (bad.position < 0) return absl::OkStatus();
    return InvalidArgument("Column ", bad.column, " of table ", bad.table,
                           " of codes must be in [0, ", bad.limit, "), the rows of its book. ",
                           "Received: code=", bad.code, " of id=", call.lookup.ids.at(bad.position),
                           ". Set codes with `assign_tables`, which checks them.");
  }

  // The gradient by the vectors: the input after the weights, of which `first` is the ids.
  absl::Status gradient_of(OpKernelContext* c, int first, const Call& call,
                           const float** gradient) const {
    const Tensor& tensor = c->input(first + 3);
    TensorShape expected = call.bags_shape;
    TF_RETURN_IF_ERROR(expected.AddDimWithStatus(program_.output_dim));
    if (tensor.shape() != expected)
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
    if (!workspace->plan.codes_fit) return check_codes(call);
    for (size_t p = 0; p < passes.size(); p++)
      TF_RETURN_IF_ERROR(run(passes[p], workspace->plan, workspace->groups[p]));
    return absl::OkStatus();
  }

  // Checks the inputs from number `first`, the ids; afterwards nothing can be read outside.
  absl::Status prepare(OpKernelContext* c, int first, const std::vector<Tensor>& tables,
                       const std::vector<Tensor>& code_tables, Call* call) const {
    call->program = program_;
    std::vector<int64_t> rows, widths;
    for (const Tensor& table : tables) {
      if (table.dims() < 1) return InvalidArgument("Tables must have rows.");
      rows.push_back(table.dim_size(0));
      widths.push_back(width_of(table));
      call->tables.push_back(static_cast<const T*>(table.data()));
    }
    std::vector<Codes> codes;
    for (const Tensor& table : code_tables)
      codes.push_back({table.data(), table.dtype() == tensorflow::DT_INT32, table.dim_size(0),
                       width_of(table)});
    const std::string unbound = call->program.bind(rows, widths, codes);
    if (!unbound.empty()) return InvalidArgument("Tables must fit the program: ", unbound, ".");
    const Tensor& ids = c->input(first);
    const Tensor& weights = c->input(first + 2);
    Lookup<T>& x = call->lookup;
    x.program = &call->program;
    x.tables = call->tables.data();
    x.ids = {ids.data(), ids.dtype() == tensorflow::DT_INT64, ids.NumElements()};
    x.combiner = combiner_;
    x.mask_zero = mask_zero_ && combiner_ != Combiner::kNone;
    x.weights = weighted_ ? weights.flat<float>().data() : nullptr;
    if (weighted_ && weights.shape() != ids.shape())
      return InvalidArgument(
          "`weights` must have the shape of the ids. Received: ids=", ids.shape().DebugString(),
          ", weights=", weights.shape().DebugString());
    const int64_t outside = find_outside(x.ids, program_.input_dim);
    if (outside >= 0)
      return InvalidArgument("Ids must be in [0, ", program_.input_dim,
                             "), the vocabulary. Received: id=", x.ids.at(outside), " at position ",
                             outside, ". Map items to ids with memcom_tf.Vocabulary.");
    TF_RETURN_IF_ERROR(find_bags(ids, c->input(first + 1), call));
    if (x.bags.count > kMostBags)
      return InvalidArgument("A batch must be smaller. Received: ids=", ids.shape().DebugString());
    const int64_t ids_a_bag = x.bags.count ? x.ids.count / x.bags.count + 1 : 1;
    call->cost_of_bag = ids_a_bag * (program_.output_dim + 10);
    return absl::OkStatus();
  }

  int num_tables_, num_codes_ = 0;
  Program program_;

 private:
  static constexpr int64_t kMostBags = int64_t{1} << 31;  // times 2^31 values fits an int64

  absl::Status find_bags(const Tensor& ids, const Tensor& splits, Call* call) const {
    Bags& bags = call->lookup.bags;
    if (ragged_) {
      const int64_t* p = static_cast<const int64_t*>(splits.data());
      const std::string wrong = check_splits(p, splits.NumElements(), ids.NumElements());
      if (!wrong.empty()) return InvalidArgument("In a ragged batch ", wrong, ".");
      bags = {splits.NumElements() - 1, 0, p};
      call->bags_shape = TensorShape({bags.count});
    } else if (combiner_ == Combiner::kNone) {
      bags = {ids.NumElements(), 1, nullptr};
      call->bags_shape = ids.shape();
    } else {
      if (ids.dims() < 1) return InvalidArgument("Pooled ids must have at least one axis.");
      TensorShape shape = ids.shape();
      const int64_t size = shape.dim_size(shape.dims() - 1);
      TF_RETURN_IF_ERROR(shape.RemoveLastDimsWithStatus(1));
      bags = {shape.num_elements(), size, nullptr};
      call->bags_shape = shape;
    }
    return absl::OkStatus();
  }

  Combiner combiner_;
  bool ragged_, weighted_, mask_zero_;
};

template <class T>
class LookupOp : public LookupKernel<T> {
 public:
  using LookupKernel<T>::LookupKernel;

  void Compute(OpKernelContext* c) override {
    const int num_tables = this->num_tables_, num_codes = this->num_codes_;
    const int ids = num_tables + num_codes;
    const Variables variables(c, range(0, ids), num_tables, type_of<T>(), false);
    OP_REQUIRES_OK(c, variables.status());
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->tables = variables.tensors(0, num_tables);
    snapshot->codes = variables.tensors(num_tables, num_codes);
    typename LookupKernel<T>::Call call;
    OP_REQUIRES_OK(c, this->prepare(c, ids, snapshot->tables, snapshot->codes, &call));
    TensorShape shape = call.bags_shape;
    OP_REQUIRES_OK(c, shape.AddDimWithStatus(call.program.output_dim));
    Tensor* vectors;
    OP_REQUIRES_OK(c, c->allocate_output(0, shape, &vectors));
    float* const out = vectors->flat<float>().data();
    std::atomic<bool> codes_fit{true};
    shard(c, call.lookup.bags.count, call.cost_of_bag, [&](int64_t first, int64_t last) {
      if (!look_up(call.lookup, first, last, out)) codes_fit = false;
    });
    if (!codes_fit) OP_REQUIRES_OK(c, this->check_codes(call));
    if (this->num_outputs() == 1) return;
    Tensor handle(tensorflow::DT_VARIANT, TensorShape({}));
    handle.scalar<tensorflow::Variant>()() = SnapshotHandle{std::move(snapshot)};
    c->set_output(1, handle);
  }
};

// What the gradients share. Their inputs are a snapshot or, in the ops without, the tables; the
// ids, the splits, the weights and the gradient.
template <class T>
class GradientKernel : public LookupKernel<T> {
 public:
  using LookupKernel<T>::LookupKernel;

  void Compute(OpKernelContext* c) final {
    const int num_tables = this->num_tables_;
    if (c->input_dtype(0) == tensorflow::DT_RESOURCE) {
      const Variables variables(c, range(0, num_tables), num_tables, type_of<T>(), false);
      OP_REQUIRES_OK(c, variables.status());
      OP_REQUIRES_OK(c, compute(c, num_tables, variables.tensors(0, num_tables), {}));
      return;
    }
    Snapshot* snapshot = nullptr;
    OP_REQUIRES_OK(c, snapshot_of(c->input(0), &snapshot));
    const std::shared_lock<std::shared_mutex> lock(snapshot->mutex);
    OP_REQUIRES_OK(c, check_snapshot(*snapshot, num_tables, this->num_codes_, type_of<T>()));
    OP_REQUIRES_OK(c, compute(c, 1, snapshot->tables, snapshot->codes));
  }

 protected:
  using typename LookupKernel<T>::Call;
  virtual absl::Status run(OpKernelContext* c, const std::vector<Tensor>& tables, const Call& call,
                           const float* gradient) const = 0;

 private:
  absl::Status compute(OpKernelContext* c, int ids, const std::vector<Tensor>& tables,
                       const std::vector<Tensor>& codes) const {
    Call call;
    TF_RETURN_IF_ERROR(this->prepare(c, ids, tables, codes, &call));
    const float* gradient = nullptr;
    TF_RETURN_IF_ERROR(this->gradient_of(c, ids, call, &gradient));
    return run(c, tables, call, gradient);
  }
};

template <class T>
class LookupGradientOp : public GradientKernel<T> {
 public:
  using GradientKernel<T>::GradientKernel;

 private:
  using typename LookupKernel<T>::Call;
  absl::Status run(OpKernelContext* c, const std::vector<Tensor>& tables, const Call& call,
                   const float* gradient) const override {
    const int num_tables = this->num_tables_;
    std::vector<Slices<T>> slices(num_tables);
    std::vector<bool> written(num_tables, false);
    const auto allocate = [&](int table, int64_t count) -> absl::Status {
      Tensor *indices, *values;
      TF_RETURN_IF_ERROR(c->allocate_output(table, TensorShape({count}), &indices));
      TF_RETURN_IF_ERROR(c->allocate_output(
          num_tables + table, TensorShape({count, width_of(tables[table])}), &values));
      slices[table] = {static_cast<int64_t*>(indices->data()), static_cast<T*>(values->data())};
      written[table] = true;
      return absl::OkStatus();
    };
    std::vector<int64_t> numbers;
    std::vector<T> single;
    TF_RETURN_IF_ERROR(
        this->for_each_pass(call, [&](const Pass& pass, const Plan& plan, const Groups& groups) {
          const bool of_values = call.program.gathers[pass.gathers[0]].of_values;
          if (of_values) {
            numbers.resize(groups.num_rows);
            single.resize(groups.num_rows);
            slices[pass.table] = {numbers.data(), single.data()};
          } else {
            TF_RETURN_IF_ERROR(allocate(pass.table, groups.num_rows));
          }
          for (const int rider : pass.riders)
            TF_RETURN_IF_ERROR(allocate(call.program.gathers[rider].table, plan.num_ids()));
          const WriteSlices<T> sink{slices.data()};
          gradient_pass(call.lookup, plan, pass, groups, gradient, sink, sharing(c, groups));
          if (of_values) {
            const int64_t count = groups.num_rows, width = width_of(tables[pass.table]);
            TF_RETURN_IF_ERROR(allocate(pass.table, count_rows(numbers.data(), count, width)));
            join_values({numbers.data(), single.data()}, count, width, slices[pass.table]);
          }
          return absl::OkStatus();
        }));
    for (int t = 0; t < num_tables; t++)
      if (!written[t]) TF_RETURN_IF_ERROR(allocate(t, 0));  // a table that the program never reads
    return absl::OkStatus();
  }
};

template <class T>
class LookupWeightsGradientOp : public GradientKernel<T> {
 public:
  explicit LookupWeightsGradientOp(OpKernelConstruction* c) : GradientKernel<T>(c) {
    bool weighted;
    OP_REQUIRES_OK(c, c->GetAttr("weighted", &weighted));
    OP_REQUIRES(c, weighted, InvalidArgument("There must be weights, to have a gradient."));
  }

 private:
  using typename LookupKernel<T>::Call;
  absl::Status run(OpKernelContext* c, const std::vector<Tensor>&, const Call& call,
                   const float* gradient) const override {
    Tensor* by_weights;
    TF_RETURN_IF_ERROR(c->allocate_output(0, c->input(c->num_inputs() - 2).shape(), &by_weights));
    float* const out = by_weights->flat<float>().data();
    std::atomic<bool> codes_fit{true};
    shard(c, call.lookup.bags.count, call.cost_of_bag, [&](int64_t first, int64_t last) {
      if (!weights_gradient(call.lookup, gradient, first, last, out)) codes_fit = false;
    });
    return codes_fit ? absl::OkStatus() : this->check_codes(call);
  }
};

}  // namespace memcom
