// The kernels of the ops that update tables: gradient and optimizer in one, and rows by slices of a
// gradient.
#pragma once

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "gradient.h"
#include "lookup.h"
#include "lookup_ops.h"
#include "plan.h"
#include "runtime.h"
#include "snapshot.h"
#include "updates.h"

namespace memcom {

// Gradient and optimizer's step in one: the gradient is never written down. Its inputs are the
// variables, the snapshot unless it is the op without, the ids, the splits, the weights, the
// gradient, the states and `hyper`.
template <class T>
class LookupUpdateOp : public LookupKernel<T> {
 public:
  explicit LookupUpdateOp(OpKernelConstruction* c) : LookupKernel<T>(c) {
    if (!c->status().ok()) return;  // there is no program
    OP_REQUIRES_OK(c, c->GetAttr("updates_in_place", &overwrites_));
    OP_REQUIRES_OK(c, read_rule(c, &shape_, this->num_tables_));
    OP_REQUIRES(c, updates_in_place(this->program_),
                InvalidArgument("Tables that are updated in one op must not be read for each "
                                "other's gradients. Use the gradient's slices."));
  }

  void Compute(OpKernelContext* c) override {
    const int tables = this->num_tables_;
    if (c->input_dtype(tables) != tensorflow::DT_VARIANT) {
      Snapshot current;
      OP_REQUIRES_OK(c, compute(c, tables, &current));
      return;
    }
    Snapshot* snapshot = nullptr;
    OP_REQUIRES_OK(c, snapshot_of(c->input(tables), &snapshot));
    const std::lock_guard<std::shared_mutex> lock(snapshot->mutex);
    OP_REQUIRES_OK(c, check_snapshot(*snapshot, tables, this->num_codes_, type_of<T>()));
    OP_REQUIRES_OK(c, compute(c, tables + 1, snapshot));
  }

 private:
  using typename LookupKernel<T>::Call;

  // An empty snapshot is filled with the variables as they are.
  absl::Status compute(OpKernelContext* c, int ids, Snapshot* snapshot) const {
    const int tables = this->num_tables_, num_states = tables * shape_.num_states;
    std::vector<int> inputs = range(0, tables);
    for (const int state : range(ids + 4, num_states)) inputs.push_back(state);
    const Variables variables(c, inputs, tables, type_of<T>(), true);
    TF_RETURN_IF_ERROR(variables.status());
    if (snapshot->tables.empty()) snapshot->tables = variables.tensors(0, tables);
    for (int t = 0; t < tables; t++)
      if (variables.tensor(t).shape() != snapshot->tables[t].shape())
        return InvalidArgument("A table must keep its shape between gradient and update.");
    Call call;
    TF_RETURN_IF_ERROR(this->prepare(c, ids, snapshot->tables, snapshot->codes, &call));
    const float* gradient = nullptr;
    TF_RETURN_IF_ERROR(this->gradient_of(c, ids, call, &gradient));
    if (call.program.reads_values())
      return InvalidArgument(
          "Tables of which single values are read must be updated by the gradient's slices.");
    TF_RETURN_IF_ERROR(this->check_codes(call));  // before one of several threads changes a row
    const Tensor& hyper = c->input(ids + 4 + num_states);
    if (hyper.NumElements() != (int64_t)tables * shape_.num_hyper)
      return InvalidArgument("Each table must get ", shape_.num_hyper,
                             " hyper-parameters. Received: ", hyper.shape().DebugString());
    std::vector<Updated<T>> updated(tables, Updated<T>{});
    for (int t = 0; t < tables; t++)
      TF_RETURN_IF_ERROR(bind(variables, t, hyper, &updated[t]));  // checks, before changes
    for (int t = 0; t < tables; t++) {
      TF_RETURN_IF_ERROR(open_table(c, variables, t, snapshot));
      for (const int state : range(tables + t * shape_.num_states, shape_.num_states))
        TF_RETURN_IF_ERROR(variables.make_writable(c, state));
      TF_RETURN_IF_ERROR(bind(variables, t, hyper, &updated[t]));
    }
    return update(c, call, gradient, UpdateTables<T>{shape_.rule, updated.data()});
  }

  absl::Status bind(const Variables& variables, int table, const Tensor& hyper,
                    Updated<T>* updated) const {
    return bind_update(variables, shape_, table,
                       (size_t)(this->num_tables_ + table * shape_.num_states),
                       hyper.flat<float>().data() + table * shape_.num_hyper, updated);
  }

  // Makes a table writable. Where nobody but the variable and the snapshot has its buffer, as in
  // every plain step of training, that is updated, and the snapshot is of no more use. Else the
  // gradient is that of the snapshot, and what is updated is another buffer.
  absl::Status open_table(OpKernelContext* c, const Variables& variables, int table,
                          Snapshot* snapshot) const {
    Tensor* const seen = &snapshot->tables[table];
    if (overwrites_ && seen->SharesBufferWith(variables.tensor(table))) {
      *seen = Tensor();
      if (variables.tensor(table).RefCountIsOne())
        snapshot->is_overwritten = true;
      else
        *seen = variables.tensor(table);
    }
    return variables.make_writable(c, table);
  }

  absl::Status update(OpKernelContext* c, const Call& call, const float* gradient,
                      const UpdateTables<T>& sink) const {
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
  bool overwrites_;
};

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
