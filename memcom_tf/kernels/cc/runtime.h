// What the kernels need of TensorFlow: variables under their locks, memory, and threads.
#pragma once

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "plan.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"
#include "tensorflow/core/util/work_sharder.h"
#include "updates.h"
#include "vectors.h"

namespace memcom {

using tensorflow::DataType;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

template <class... Parts>
absl::Status InvalidArgument(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// Asks for huge pages below a table, once for each buffer. Rows are read at random: with small
// pages most accesses miss the translation cache, which is dear in a virtual machine.
inline void use_huge_pages(const Tensor& tensor) {
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

// Values of a row of a table.
inline int64_t width_of(const Tensor& table) {
  const int64_t rows = table.dim_size(0);
  return rows ? table.NumElements() / rows : 0;
}

// Variables under their locks, taken in one order so that two ops never wait for each other.
class Variables {
 public:
  // The first `tables` of the inputs are of the type. The others are codes where they are read, and
  // an optimizer's state, which is float, where they are written.
  Variables(OpKernelContext* c, const std::vector<int>& inputs, size_t tables, DataType dtype,
            bool for_writing)
      : is_exclusive_(for_writing) {
    for (const int input : inputs) {
      tensorflow::core::RefCountPtr<tensorflow::Var> variable;
      status_ = LookupResource(c, HandleFromInput(c, input), &variable);
      if (!status_.ok()) return;
      variables_.push_back(std::move(variable));
    }
    for (const auto& variable : variables_) mutexes_.push_back(variable->mu());
    std::sort(mutexes_.begin(), mutexes_.end());
    mutexes_.erase(std::unique(mutexes_.begin(), mutexes_.end()), mutexes_.end());
    if (for_writing && mutexes_.size() < variables_.size()) {
      mutexes_.clear();
      status_ = InvalidArgument("The variables of an update must be different ones.");
      return;
    }
    lock();
    if (!for_writing) share_buffers();
    for (size_t i = 0; i < variables_.size(); i++) {
      const Tensor& tensor = this->tensor(i);
      const bool is_codes = i >= tables && !for_writing;
      const DataType expected = i < tables ? dtype : tensorflow::DT_FLOAT;
      const bool fits = is_codes ? tensor.dtype() == tensorflow::DT_UINT8 ||
                                       tensor.dtype() == tensorflow::DT_INT32
                                 : tensor.dtype() == expected;
      if (!variables_[i]->is_initialized || !fits || tensor.dims() < 1) {
        status_ = absl::FailedPreconditionError(
            absl::StrCat("A variable of the fused ops must be initialized, and ",
                         is_codes ? "uint8 or int32" : tensorflow::DataTypeString(expected),
                         ". Received: dtype=", tensorflow::DataTypeString(tensor.dtype()), "."));
        return;
      }
    }
  }
  ~Variables() { unlock(); }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

  const absl::Status& status() const { return status_; }
  const Tensor& tensor(size_t i) const { return *variables_[i]->tensor(); }
  size_t count() const { return variables_.size(); }
  std::vector<Tensor> tensors(size_t first, size_t count) const {
    std::vector<Tensor> tensors;
    for (size_t i = first; i < first + count; i++) tensors.push_back(tensor(i));
    return tensors;
  }
  int64_t rows(size_t i) const { return tensor(i).dim_size(0); }
  int64_t width(size_t i) const { return width_of(tensor(i)); }

  // To be called before a variable is written to: where somebody still reads its buffer, that stays
  // theirs, and the variable gets a copy.
  absl::Status make_writable(OpKernelContext* c, size_t i) const {
    Tensor* const tensor = variables_[i]->tensor();
    if (!variables_[i]->copy_on_read_mode.load() && !tensor->RefCountIsOne()) {
      Tensor copy;
      TF_RETURN_IF_ERROR(c->allocate_temp(tensor->dtype(), tensor->shape(), &copy));
      std::memcpy(copy.data(), tensor->data(), tensor->TotalBytes());
      *tensor = copy;
    }
    use_huge_pages(*tensor);
    return absl::OkStatus();
  }

 private:
  void lock() {
    for (auto* mutex : mutexes_) is_exclusive_ ? mutex->lock() : mutex->lock_shared();
    is_locked_ = true;
  }
  void unlock() {
    if (!is_locked_) return;
    for (auto* mutex : mutexes_) is_exclusive_ ? mutex->unlock() : mutex->unlock_shared();
    is_locked_ = false;
  }

  // TensorFlow's sparse updates set a mode in which they write to a buffer whoever shares it, as
  // every reader is to copy it. Out of that mode they, too, copy a buffer that somebody shares.
  void share_buffers() {
    const auto copies = [](const auto& variable) { return variable->copy_on_read_mode.load(); };
    if (std::none_of(variables_.begin(), variables_.end(), copies)) return;
    unlock();
    is_exclusive_ = true;
    lock();
    for (const auto& variable : variables_) variable->copy_on_read_mode.store(false);
  }

  bool is_exclusive_, is_locked_ = false;
  absl::Status status_;
  std::vector<tensorflow::core::RefCountPtr<tensorflow::Var>> variables_;
  std::vector<decltype(std::declval<tensorflow::Var>().mu())> mutexes_;
};

inline void shard(OpKernelContext* c, int64_t count, int64_t cost,
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
    Workspace* get() const { return workspace_.get(); }
    Workspace* operator->() const { return get(); }

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

// Hands the parts of a batch of so many ids to threads. `run(part, workspace)` returns why it
// cannot be done, which lies in the sizes that all parts have in common: then nothing was done.
template <class Run>
absl::Status for_each_part(OpKernelContext* c, int64_t ids, const Run& run) {
  constexpr int64_t kCostOfPart = 1000000;
  constexpr int64_t kIdsOfPart = 4096;  // fewer are not worth it: every part reads all ids
  const int64_t threads = c->device()->tensorflow_cpu_worker_threads()->num_threads;
  int64_t parts = 1;
  while (2 * parts <= threads && ids >= kIdsOfPart * parts) parts *= 2;
  std::vector<std::string> wrong(parts);
  shard(c, parts, kCostOfPart, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; part++) {
      Workspaces::Lease workspace(Workspaces::shared());
      wrong[part] = run(Part{part, parts}, workspace.get());
    }
  });
  if (wrong[0].empty()) return absl::OkStatus();
  return InvalidArgument("A batch must be smaller: ", wrong[0], ".");
}

inline absl::Status read_rule(OpKernelConstruction* c, RuleShape* shape, int tables) {
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

}  // namespace memcom
