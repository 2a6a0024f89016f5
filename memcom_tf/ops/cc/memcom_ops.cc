// TensorFlow's side of the kernels: ops, shapes, variables and threads.
#ifdef __linux__
#include <sys/mman.h>
#endif

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gradient.h"
#include "lookup.h"
#include "plan.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

namespace memcom {
namespace {

using tensorflow::DataType;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

template <class... Parts>
absl::Status InvalidArgument(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// ---- Ops.

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

// ---- Variables, threads and memory.

// Asks for huge pages below a table, once for each buffer. Rows are read at random: with small
// pages most accesses miss the translation cache, which is dear in a virtual machine.
void use_huge_pages(const Tensor& tensor) {
#ifdef __linux__
  constexpr uintptr_t kHugePage = uintptr_t{1} << 21;
  constexpr int kCollapse = 25;  // MADV_COLLAPSE, which the headers know since Linux 6.1
  const uintptr_t begin = reinterpret_cast<uintptr_t>(tensor.data());
  const uintptr_t first = (begin + kHugePage - 1) & ~(kHugePage - 1);
  const uintptr_t last = (begin + tensor.TotalBytes()) & ~(kHugePage - 1);
  if (tensor.TotalBytes() < 2 * kHugePage || last <= first) return;
  static std::mutex* const mutex = new std::mutex;
  static std::set<std::pair<uintptr_t, uintptr_t>>* const asked =
      new std::set<std::pair<uintptr_t, uintptr_t>>;
  const std::lock_guard<std::mutex> lock(*mutex);
  if (!asked->insert({first, last}).second) return;
  // It is advice: a kernel that cannot follow it changes nothing.
  madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
  madvise(reinterpret_cast<void*>(first), last - first, kCollapse);
#else
  (void)tensor;
#endif
}

// Variables under their locks, taken in one order so that two ops never wait for each other.
class Variables {
 public:
  // The first `tables` of the inputs are of the type, the others, an optimizer's state, are float.
  Variables(OpKernelContext* c, const std::vector<int>& inputs, size_t tables, DataType dtype,
            bool for_writing)
      : for_writing_(for_writing) {
    for (const int input : inputs) {
      tensorflow::core::RefCountPtr<tensorflow::Var> variable;
      status_ = LookupResource(c, HandleFromInput(c, input), &variable);
      if (!status_.ok()) return;
      variables_.push_back(std::move(variable));
    }
    for (const auto& variable : variables_) locked_.push_back(variable->mu());
    std::sort(locked_.begin(), locked_.end());
    locked_.erase(std::unique(locked_.begin(), locked_.end()), locked_.end());
    for (auto* mutex : locked_) for_writing ? mutex->lock() : mutex->lock_shared();
    for (size_t i = 0; i < variables_.size(); i++) {
      const auto& variable = variables_[i];
      Tensor* const tensor = variable->tensor();
      const DataType expected = i < tables ? dtype : tensorflow::DT_FLOAT;
      if (!variable->is_initialized || tensor->dtype() != expected || tensor->dims() < 1) {
        status_ = absl::FailedPreconditionError(
            absl::StrCat("A variable of the fused ops must be initialized, and ",
                         tensorflow::DataTypeString(expected),
                         ". Received: dtype=", tensorflow::DataTypeString(tensor->dtype()), "."));
        return;
      }
      // Somebody still reads the buffer: it stays theirs.
      if (for_writing && !variable->copy_on_read_mode.load() && !tensor->RefCountIsOne()) {
        Tensor copy;
        status_ = c->allocate_temp(expected, tensor->shape(), &copy);
        if (!status_.ok()) return;
        std::memcpy(copy.data(), tensor->data(), tensor->TotalBytes());
        *tensor = copy;
      }
      if (for_writing) use_huge_pages(*tensor);
    }
  }
  ~Variables() {
    for (auto* mutex : locked_) for_writing_ ? mutex->unlock() : mutex->unlock_shared();
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

  const absl::Status& status() const { return status_; }
  const Tensor& tensor(size_t i) const { return *variables_[i]->tensor(); }
  size_t count() const { return variables_.size(); }
  int64_t rows(size_t i) const { return tensor(i).dim_size(0); }
  int64_t width(size_t i) const {
    const int64_t rows = this->rows(i);
    return rows ? tensor(i).NumElements() / rows : 0;
  }

 private:
  const bool for_writing_;
  absl::Status status_;
  std::vector<tensorflow::core::RefCountPtr<tensorflow::Var>> variables_;
  std::vector<decltype(std::declval<tensorflow::Var>().mu())> locked_;
};

void shard(OpKernelContext* c, int64_t count, int64_t cost,
           const std::function<void(int64_t, int64_t)>& work) {
  const auto* workers = c->device()->tensorflow_cpu_worker_threads();
  tensorflow::Shard(workers->num_threads, workers->workers, count, cost, work);
}

// Buffers that a step needs and the next step needs again: fresh ones would cost page faults.
struct Workspace {
  Plan plan;
  std::vector<Groups> groups;
};

class Workspaces {
 public:
  class Lease {
   public:
    explicit Lease(Workspaces* from) : from_(from) {
      const std::lock_guard<std::mutex> lock(from->mutex_);
      if (from->idle_.empty()) {
        workspace_ = std::make_unique<Workspace>();
      } else {
        workspace_ = std::move(from->idle_.back());
        from->idle_.pop_back();
      }
    }
    ~Lease() {
      const std::lock_guard<std::mutex> lock(from_->mutex_);
      from_->idle_.push_back(std::move(workspace_));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Workspace* operator->() const { return workspace_.get(); }

   private:
    Workspaces* from_;
    std::unique_ptr<Workspace> workspace_;
  };

  static Workspaces* shared() {
    static Workspaces* const workspaces = new Workspaces;
    return workspaces;
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> idle_;
};

// TensorFlow's type for each of ours.
template <class T>
struct TypeOf;
template <>
struct TypeOf<float> {
  typedef float type;
};
template <>
struct TypeOf<BFloat16> {
  typedef tensorflow::bfloat16 type;
};
template <>
struct TypeOf<Float16> {
  typedef Eigen::half type;
};
template <class T>
constexpr DataType type_of() {
  return tensorflow::DataTypeToEnum<typename TypeOf<T>::type>::value;
}

// Costs in cycles, which decide how finely work is cut: of a row in a step, and of a part.
constexpr int64_t kCostOfRow = 2000;
constexpr int64_t kCostOfPart = 1000000;

// Into how many parts a batch of so many ids is cut: a power of two.
int64_t parts_for(OpKernelContext* c, int64_t ids) {
  const int64_t threads = c->device()->tensorflow_cpu_worker_threads()->num_threads;
  int64_t parts = 1;
  while (2 * parts <= threads && ids >= 1024 * parts) parts *= 2;
  return parts;
}

// ---- Kernels.

// What the ops on lookups share: the attributes, and the inputs up to the weights.
template <class T>
class LookupKernel : public OpKernel {
 public:
  explicit LookupKernel(OpKernelConstruction* c) : OpKernel(c) {
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

 protected:
  struct Call {
    Program program;
    std::vector<const T*> tables;
    Lookup<T> lookup;
    TensorShape bags_shape;
  };

  std::vector<int> table_inputs() const {
    std::vector<int> inputs(num_tables_);
    for (int i = 0; i < num_tables_; i++) inputs[i] = i;
    return inputs;
  }

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
    return absl::OkStatus();
  }

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
  Combiner combiner_;
  bool ragged_, weighted_, mask_zero_;
};

template <class T>
class LookupOp : public LookupKernel<T> {
 public:
  using LookupKernel<T>::LookupKernel;
  void Compute(OpKernelContext* c) override {
    const Variables variables(c, this->table_inputs(), this->num_tables_, type_of<T>(), false);
    OP_REQUIRES_OK(c, variables.status());
    typename LookupKernel<T>::Call call;
    OP_REQUIRES_OK(c, this->prepare(c, variables, &call));
    TensorShape shape = call.bags_shape;
    shape.AddDim(call.program.output_dim);
    Tensor* vectors;
    OP_REQUIRES_OK(c, c->allocate_output(0, shape, &vectors));
    const Lookup<T>& x = call.lookup;
    const int64_t ids_a_bag = x.bags.count ? x.ids.count / x.bags.count + 1 : 1;
    float* const out = vectors->flat<float>().data();
    shard(c, x.bags.count, ids_a_bag * (call.program.output_dim + 10),
          [&](int64_t first, int64_t last) { look_up(x, first, last, out); });
  }
};

template <class T>
class LookupGradientOp : public LookupKernel<T> {
 public:
  using LookupKernel<T>::LookupKernel;
  void Compute(OpKernelContext* c) override {
    const Variables variables(c, this->table_inputs(), this->num_tables_, type_of<T>(), false);
    OP_REQUIRES_OK(c, variables.status());
    typename LookupKernel<T>::Call call;
    OP_REQUIRES_OK(c, this->prepare(c, variables, &call));
    const float* gradient;
    OP_REQUIRES_OK(c, this->gradient_of(c, call, &gradient));
    std::vector<Slices<T>> slices(this->num_tables_);
    std::vector<bool> written(this->num_tables_, false);
    const auto allocate = [&](int table, int64_t count) -> absl::Status {
      Tensor *indices, *values;
      TF_RETURN_IF_ERROR(c->allocate_output(table, TensorShape({count}), &indices));
      TF_RETURN_IF_ERROR(c->allocate_output(this->num_tables_ + table,
                                            TensorShape({count, variables.width(table)}), &values));
      slices[table] = {static_cast<int64_t*>(indices->data()), static_cast<T*>(values->data())};
      written[table] = true;
      return absl::OkStatus();
    };
    OP_REQUIRES_OK(
        c, this->for_each_pass(call, [&](const Pass& pass, const Plan& plan, const Groups& groups) {
          TF_RETURN_IF_ERROR(allocate(pass.table, groups.count()));
          for (const int rider : pass.riders)
            TF_RETURN_IF_ERROR(allocate(call.program.gathers[rider].table, plan.num_ids()));
          const WriteSlices<T> sink{slices.data()};
          shard(c, groups.count(), kCostOfRow, [&](int64_t first, int64_t last) {
            gradient_rows(call.lookup, plan, pass, groups, gradient, sink, first, last);
          });
          return absl::OkStatus();
        }));
    for (int t = 0; t < this->num_tables_; t++)
      if (!written[t]) OP_REQUIRES_OK(c, allocate(t, 0));  // a table that the program never reads
  }
};

template <class T>
class LookupWeightsGradientOp : public LookupKernel<T> {
 public:
  using LookupKernel<T>::LookupKernel;
  void Compute(OpKernelContext* c) override {
    const Variables variables(c, this->table_inputs(), this->num_tables_, type_of<T>(), false);
    OP_REQUIRES_OK(c, variables.status());
    typename LookupKernel<T>::Call call;
    OP_REQUIRES_OK(c, this->prepare(c, variables, &call));
    const float* gradient;
    OP_REQUIRES_OK(c, this->gradient_of(c, call, &gradient));
    Tensor* by_weights;
    OP_REQUIRES_OK(c, c->allocate_output(0, c->input(this->num_tables_ + 2).shape(), &by_weights));
    if (!call.lookup.weights) return;
    const Lookup<T>& x = call.lookup;
    const int64_t ids_a_bag = x.bags.count ? x.ids.count / x.bags.count + 1 : 1;
    float* const out = by_weights->flat<float>().data();
    shard(c, x.bags.count, ids_a_bag * (call.program.output_dim + 10),
          [&](int64_t first, int64_t last) { weights_gradient(x, gradient, first, last, out); });
  }
};

absl::Status read_rule(OpKernelConstruction* c, RuleShape* shape, int tables) {
  std::string name;
  int states;
  TF_RETURN_IF_ERROR(c->GetAttr("rule", &name));
  TF_RETURN_IF_ERROR(c->GetAttr("S", &states));
  if (!rule_named(name, shape))
    return InvalidArgument("`rule` must be a rule of memcom_tf.optimizers. Received: rule=", name);
  if (states != shape->num_states * tables)
    return InvalidArgument("The rule ", name, " must get ", shape->num_states,
                           " states a table. Received: ", states);
  return absl::OkStatus();
}

// States and hyper-parameters of table `t` of `tables`, whose variable is number `table`.
template <class T>
absl::Status bind_update(const Variables& variables, const RuleShape& shape, size_t table,
                         size_t first_state, const float* hyper, Updated<T>* updated) {
  updated->values = static_cast<T*>(variables.tensor(table).data());
  std::copy_n(hyper, shape.num_hyper, updated->hyper);
  for (int s = 0; s < shape.num_states; s++) {
    const Tensor& state = variables.tensor(first_state + s);
    const int64_t expected =
        shape.one_state_a_row ? variables.rows(table) : variables.tensor(table).NumElements();
    if (state.NumElements() != expected)
      return InvalidArgument("An optimizer's state must have ", expected,
                             " values. Received: ", state.shape().DebugString());
    updated->states[s] = static_cast<float*>(state.data());
  }
  return absl::OkStatus();
}

// Gradient and optimizer's step in one: the gradient is never written down.
template <class T>
class LookupUpdateOp : public LookupKernel<T> {
 public:
  explicit LookupUpdateOp(OpKernelConstruction* c) : LookupKernel<T>(c) {
    OP_REQUIRES_OK(c, read_rule(c, &shape_, this->num_tables_));
    OP_REQUIRES(c, updates_in_place(this->program_),
                InvalidArgument("Tables that are updated in one op must not be read for each "
                                "other's gradients. Use the gradient's slices."));
  }
  void Compute(OpKernelContext* c) override {
    const int tables = this->num_tables_, states = shape_.num_states;
    std::vector<int> inputs = this->table_inputs();
    for (int s = 0; s < tables * states; s++) inputs.push_back(tables + 4 + s);
    const Variables variables(c, inputs, tables, type_of<T>(), true);
    OP_REQUIRES_OK(c, variables.status());
    typename LookupKernel<T>::Call call;
    OP_REQUIRES_OK(c, this->prepare(c, variables, &call));
    const float* gradient;
    OP_REQUIRES_OK(c, this->gradient_of(c, call, &gradient));
    const Tensor& hyper = c->input(tables + 4 + tables * states);
    OP_REQUIRES(c, hyper.NumElements() == (int64_t)tables * shape_.num_hyper,
                InvalidArgument("Each table must get ", shape_.num_hyper,
                                " hyper-parameters. Received: ", hyper.shape().DebugString()));
    std::vector<Updated<T>> updated(tables, Updated<T>{});
    for (int t = 0; t < tables; t++)
      OP_REQUIRES_OK(c,
                     bind_update(variables, shape_, t, (size_t)(tables + t * states),
                                 hyper.flat<float>().data() + t * shape_.num_hyper, &updated[t]));
    const UpdateTables<T> sink{shape_.rule, updated.data()};
    const std::vector<Pass> passes = passes_of(call.program);
    if (passes.size() > 1) {
      OP_REQUIRES_OK(c, this->for_each_pass(call, [&](const Pass& pass, const Plan& plan,
                                                      const Groups& groups) {
        shard(c, groups.count(), kCostOfRow, [&](int64_t first, int64_t last) {
          gradient_rows(call.lookup, plan, pass, groups, gradient, sink, first, last);
        });
        return absl::OkStatus();
      }));
      return;
    }
    // Each thread sorts its part of the rows, and updates them.
    const int64_t parts = parts_for(c, call.lookup.ids.count);
    std::vector<std::string> wrong(parts);
    shard(c, parts, kCostOfPart, [&](int64_t first, int64_t last) {
      for (int64_t part = first; part < last; part++) {
        Workspaces::Lease workspace(Workspaces::shared());
        if (workspace->groups.empty()) workspace->groups.resize(1);
        Plan* const plan = &workspace->plan;
        Groups* const groups = &workspace->groups[0];
        wrong[part] = make_plan(call.lookup, passes[0], plan, {part, parts});
        if (wrong[part].empty())
          wrong[part] = make_groups(call.program, passes[0], *plan, &plan->buffer, groups);
        if (wrong[part].empty())
          gradient_rows(call.lookup, *plan, passes[0], *groups, gradient, sink, 0, groups->count());
      }
    });
    // What is wrong is so with the sizes, which all parts have in common: nothing was updated.
    OP_REQUIRES(c, wrong[0].empty(), InvalidArgument("A batch must be smaller: ", wrong[0], "."));
  }

 private:
  RuleShape shape_;
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
    const int64_t parts = parts_for(c, ids.count);
    std::vector<std::string> too_large(parts);
    shard(c, parts, kCostOfPart, [&](int64_t first, int64_t last) {
      for (int64_t part = first; part < last; part++) {
        Workspaces::Lease workspace(Workspaces::shared());
        too_large[part] = make_plan(lookup, pass, &workspace->plan, {part, parts});
        if (too_large[part].empty())
          apply_slices(shape_.rule, table, width, workspace->plan, gradient, 0,
                       workspace->plan.num_ids());
      }
    });
    OP_REQUIRES(c, too_large[0].empty(),
                InvalidArgument("A batch must be smaller: ", too_large[0], "."));
  }

 private:
  RuleShape shape_;
  bool unique_;
};

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
