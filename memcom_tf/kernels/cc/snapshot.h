// The tables of a lookup as they were when it ran, for its gradient.
#pragma once

#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/variant.h"
#include "tensorflow/core/framework/variant_tensor_data.h"

namespace memcom {

// It shares the buffers of the variables. Whoever writes to a variable copies a buffer that
// somebody shares: nothing is copied unless a table changes before its gradient is computed.
struct Snapshot {
  std::shared_mutex mutex;  // shared while the tables are read, exclusive while they are updated
  std::vector<tensorflow::Tensor> tables, codes;
  bool is_overwritten = false;  // by the update that was made of the gradient
};

// How a snapshot travels from a lookup to its gradient: all copies are one snapshot.
struct SnapshotHandle {
  std::shared_ptr<Snapshot> snapshot;
  std::string TypeName() const { return "memcom::Snapshot"; }
  std::string DebugString() const { return TypeName(); }
  // It cannot leave the process.
  void Encode(tensorflow::VariantTensorData*) const {}
  bool Decode(const tensorflow::VariantTensorData&) { return false; }
};

// The snapshot of an input. It lives as long as the input does.
inline absl::Status snapshot_of(const tensorflow::Tensor& input, Snapshot** snapshot) {
  const SnapshotHandle* handle = nullptr;
  if (input.dtype() == tensorflow::DT_VARIANT && input.NumElements() == 1)
    handle = input.flat<tensorflow::Variant>()(0).get<SnapshotHandle>();
  if (handle == nullptr || handle->snapshot == nullptr)
    return absl::InvalidArgumentError("`snapshot` must be what a lookup returned.");
  *snapshot = handle->snapshot.get();
  return absl::OkStatus();
}

// To be called under its lock.
inline absl::Status check_snapshot(const Snapshot& snapshot, int tables, int code_tables,
                                   tensorflow::DataType dtype) {
  if (snapshot.is_overwritten)
    return absl::FailedPreconditionError(
        "The gradient of a fused lookup must be read before it is applied: its update has "
        "overwritten the tables that it was of. Read the gradient first, or compute the lookup on "
        "plain ops: `with memcom_tf.ops.use('reference'): ...`.");
  bool fits =
      snapshot.tables.size() == (size_t)tables && snapshot.codes.size() == (size_t)code_tables;
  for (const tensorflow::Tensor& table : snapshot.tables) fits &= table.dtype() == dtype;
  if (!fits) return absl::InvalidArgumentError("`snapshot` must be that of the tables.");
  return absl::OkStatus();
}

}  // namespace memcom
