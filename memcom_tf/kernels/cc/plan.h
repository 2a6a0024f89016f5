// Which positions belong to which id, and which ids to which row: sorted, so that every row of a
// gradient is summed by one thread in one order. No TensorFlow.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lookup.h"
#include "passes.h"
#include "program.h"

namespace memcom {

inline int bits_for(uint64_t count) {  // that hold 0 ... count - 1
  int bits = 0;
  while (bits < 64 && (uint64_t{1} << bits) < count) bits++;
  return bits;
}

// Sorts by the `key_bits` bits above `shift`, keeping the order of equal keys. Buffers are handed
// in because fresh ones would cost page faults in every step.
inline void radix_sort(std::vector<uint64_t>* items, std::vector<uint64_t>* buffer, int shift,
                       int key_bits) {
  constexpr int kMaxDigit = 11;
  const size_t n = items->size();
  const int passes = (key_bits + kMaxDigit - 1) / kMaxDigit;
  if (passes == 0 || n < 2) return;
  const int digit = (key_bits + passes - 1) / passes;
  const uint64_t mask = (uint64_t{1} << digit) - 1;
  const size_t buckets = size_t{1} << digit;
  std::vector<uint32_t> counts(passes * buckets, 0);
  uint64_t* from = items->data();
  for (size_t i = 0; i < n; i++) {
    uint64_t key = from[i] >> shift;
    for (int pass = 0; pass < passes; pass++, key >>= digit)
      counts[pass * buckets + (key & mask)]++;
  }
  buffer->resize(n);
  uint64_t* to = buffer->data();
  for (int pass = 0; pass < passes; pass++) {
    uint32_t* count = &counts[pass * buckets];
    uint32_t before = 0;
    for (size_t bucket = 0; bucket < buckets; bucket++) {
      const uint32_t here = count[bucket];
      count[bucket] = before;
      before += here;
    }
    const int low = shift + pass * digit;
    for (size_t i = 0; i < n; i++) to[count[(from[i] >> low) & mask]++] = from[i];
    std::swap(from, to);
  }
  if (passes & 1) items->swap(*buffer);
}

// Positions sorted by id. Ids are ordered so that those of one row of the first pass's table
// follow each other, where the row is the remainder of the id; else they rise.
struct Plan {
  std::vector<uint64_t> items, buffer;
  int payload_bits = 0;
  std::vector<uint32_t> start;              // of each unique id among the items, and the end
  std::vector<std::vector<uint32_t>> rows;  // of each gather, for each unique id
  float factor = 1.0f;                      // of every bag's sum, where all are divided alike
  std::vector<float> bag_factors;           // else of each bag
  std::vector<uint32_t> bag_of;             // of each position; empty where items hold the bag
  bool codes_fit = true;                    // whether every code was below its limit

  int64_t num_ids() const { return (int64_t)start.size() - 1; }
  MEMCOM_INLINE uint64_t payload(size_t i) const {
    return items[i] & ((uint64_t{1} << payload_bits) - 1);
  }
};

// A busy row that is summed in stretches.
struct Cut {
  int64_t position, row;  // among the rows of the gradient, and in the table
  int64_t first, count;   // of its partial sums
};

// A table's rows in the order of its pass, busy ones in stretches.
struct Groups {
  bool in_order = false;          // entry i is unique id i
  std::vector<uint64_t> entries;  // else: unique id * number of gathers + gather, row by row
  std::vector<uint32_t> start;    // of each stretch among the entries, and the end
  std::vector<int64_t> row;       // of each stretch
  // Of each stretch, the position of its row or, of a cut row, ~ the number of its partial sum.
  // Empty where no row is cut.
  std::vector<int64_t> position;
  std::vector<Cut> cuts;
  int64_t num_rows = 0, num_partial_sums = 0;
  // Where ids are added one after another to sums of all rows: the ids of each share of them, and
  // the end; and of each row of the table its position. Empty where rows are summed one by one.
  std::vector<int64_t> share;
  std::vector<uint32_t> position_of;
  mutable std::vector<float> sums;  // of the shares, here because fresh ones cost page faults
  int64_t num_shares() const { return (int64_t)share.size() - 1; }
  int64_t num_stretches() const { return (int64_t)row.size(); }
  MEMCOM_INLINE int64_t id_of(int64_t entry, int64_t gathers) const {
    if (in_order) return entry;
    return (int64_t)(gathers == 1 ? entries[entry] : entries[entry] / gathers);
  }
};

// Entries of a row that one thread sums. A quotient's table has few rows and every id of the batch
// in them: whole rows could not be shared among threads. Where a row is cut does not depend on
// their number.
constexpr int64_t kStretch = 512;

inline void cut_busy_rows(int64_t stretch, Groups* groups) {
  const int64_t rows = (int64_t)groups->row.size();
  groups->num_rows = rows;
  groups->num_partial_sums = 0;
  groups->position.clear();
  groups->cuts.clear();
  int64_t busiest = 0;
  for (int64_t r = 0; r < rows; r++)
    busiest = std::max<int64_t>(busiest, groups->start[r + 1] - groups->start[r]);
  if (busiest <= stretch) return;
  std::vector<uint32_t> start;
  std::vector<int64_t> row;
  for (int64_t r = 0; r < rows; r++) {
    const int64_t begin = groups->start[r], end = groups->start[r + 1];
    const int64_t count = (end - begin + stretch - 1) / stretch;
    for (int64_t s = 0; s < count; s++) {
      start.push_back((uint32_t)(begin + s * stretch));
      row.push_back(groups->row[r]);
      groups->position.push_back(count == 1 ? r : ~(groups->num_partial_sums + s));
    }
    if (count == 1) continue;
    groups->cuts.push_back({r, groups->row[r], groups->num_partial_sums, count});
    groups->num_partial_sums += count;
  }
  start.push_back(groups->start[rows]);
  groups->start.swap(start);
  groups->row.swap(row);
}

// How ids become the keys that they are sorted by: as they are, or with the digits to a base
// exchanged, so that ids of equal remainder follow each other.
struct IdKeys {
  int64_t base = 0, quotients = 1;  // base 0: as they are
  double by_base = 0.0, by_quotients = 0.0;

  IdKeys(const Program& program, const Pass& first) {
    if (first.gathers.size() != 1) return;
    base = program.gathers[first.gathers[0]].id_mod;
    if (base == 0) return;
    quotients = (program.input_dim + base - 1) / base;
    by_base = 1.0 / (double)base;
    by_quotients = 1.0 / (double)quotients;
    if (base > kLargestInteger / quotients) base = 0;
  }
  int64_t count(int64_t input_dim) const { return base ? base * quotients : input_dim; }
  void decode(int64_t* keys, int64_t n) const {
    if (base) restore_digits(keys, n, base, by_quotients, quotients);
  }
};

// Cuts sorted items where the bits above `shift` change. Returns the number of runs.
inline size_t find_runs(const std::vector<uint64_t>& items, int shift,
                        std::vector<uint32_t>* start) {
  const size_t n = items.size();
  start->resize(n + 1);
  size_t runs = 0;
  uint64_t before = ~uint64_t{0};  // above every key
  for (size_t i = 0; i < n; i++) {
    const uint64_t key = items[i] >> shift;
    (*start)[runs] = (uint32_t)i;  // stays if the key is new, is written again if not
    runs += key != before;
    before = key;
  }
  (*start)[runs] = (uint32_t)n;
  start->resize(runs + 1);
  return runs;
}

// Every so many-th page of the first pass's table: threads plan and work on parts of a batch
// without a word to each other. Low rows are the busy ones, so that halves would be uneven, and
// single rows would make every thread translate the addresses of all pages.
struct Part {
  int64_t index = 0, count = 1;  // a power of two
};

// log2 of the rows of a page of 4096 bytes, or of the first power of two above.
inline int rows_of_page(int64_t width) { return bits_for((4096 / 4 + width - 1) / width); }

// Sorts a batch, or a part of it. Returns why it cannot be done, or nothing.
template <class T>
std::string make_plan(const Lookup<T>& x, const Pass& first, Plan* plan, const Part& part = {}) {
  const Program& program = *x.program;
  const Gather& leader = program.gathers[first.gathers[0]];
  const int64_t n = x.ids.count;
  const IdKeys keys(program, first);
  const int key_bits = bits_for(keys.count(program.input_dim));
  plan->payload_bits = std::max(1, bits_for(x.weights ? n : x.bags.count));
  if (key_bits + plan->payload_bits > 64 || n >= (int64_t{1} << 32) - 1)
    return "the batch has too many ids for a vocabulary of " + std::to_string(program.input_dim);
  const bool plain = !x.weights && !x.mask_zero;
  const bool alike = plain && !x.bags.splits;
  const bool divides = !alike && (x.combiner == Combiner::kMean || x.combiner == Combiner::kSqrtn);
  plan->factor = alike ? bag_factor(x.combiner, (float)x.bags.size, (float)x.bags.size) : 1.0f;
  plan->bag_of.resize(x.weights ? n : 0);
  plan->bag_factors.resize(divides ? x.bags.count : 0);
  plan->items.resize(n + 1);  // one more, as an item is written before it is kept
  uint64_t* item = plan->items.data();
  Slots slots;
  int64_t exchanged[kChunk], remainders[kChunk];
  const int64_t* const keys_of_chunk = keys.base ? exchanged : slots.value[0];
  const int64_t* const rows_of_chunk = keys.base ? remainders : slots.value[leader.slot];
  const int page = rows_of_page(leader.width), shift = plan->payload_bits;
  int64_t bag = 0, bag_end = x.bags.count ? x.bags.begin(1) : 0;
  float sum = 0.0f, sum_of_squares = 0.0f;
  const auto end_bags_before = [&](int64_t position) {
    for (; bag < x.bags.count && bag_end <= position; bag++) {
      if (plain) sum = sum_of_squares = (float)(bag_end - x.bags.begin(bag));
      if (divides) plan->bag_factors[bag] = bag_factor(x.combiner, sum, sum_of_squares);
      sum = sum_of_squares = 0.0f;
      if (bag + 1 < x.bags.count) bag_end = x.bags.begin(bag + 2);
    }
  };
  for (int64_t chunk = 0; chunk < n; chunk += kChunk) {
    const int64_t m = std::min<int64_t>(kChunk, n - chunk);
    x.ids.read(chunk, m, slots.value[0]);
    if (keys.base)
      exchange_digits(slots.value[0], m, keys.base, keys.by_base, keys.quotients, exchanged,
                      remainders);
    else if (part.count > 1 && leader.slot != 0)
      compute_indices(program, &slots, m);
    for (int64_t i = 0; i < m;) {
      end_bags_before(chunk + i);
      const int64_t end = std::min(m, bag_end - chunk);
      for (; i < end; i++) {
        const int64_t p = chunk + i;
        if (!plain) {
          if (x.mask_zero && slots.value[0][i] == 0) continue;
          const float weight = x.weights ? x.weights[p] : 1.0f;
          sum += weight;
          sum_of_squares += weight * weight;
          if (x.weights) plan->bag_of[p] = (uint32_t)bag;
        }
        *item = ((uint64_t)keys_of_chunk[i] << shift) | (uint64_t)(x.weights ? p : bag);
        item += ((rows_of_chunk[i] >> page) & (part.count - 1)) == part.index;
      }
    }
  }
  end_bags_before(n);
  plan->items.resize(item - plan->items.data());
  radix_sort(&plan->items, &plan->buffer, plan->payload_bits, key_bits);
  const int64_t ids = (int64_t)find_runs(plan->items, plan->payload_bits, &plan->start);
  plan->rows.resize(program.gathers.size());
  for (auto& rows : plan->rows) rows.resize(ids);
  plan->codes_fit = true;
  for (int64_t chunk = 0; chunk < ids; chunk += kChunk) {
    const int64_t m = std::min<int64_t>(kChunk, ids - chunk);
    for (int64_t i = 0; i < m; i++)
      slots.value[0][i] = (int64_t)(plan->items[plan->start[chunk + i]] >> plan->payload_bits);
    keys.decode(slots.value[0], m);
    plan->codes_fit &= compute_indices(program, &slots, m);
    for (size_t g = 0; g < program.gathers.size(); g++) {
      const int64_t* from = slots.value[program.gathers[g].slot];
      std::copy(from, from + m, plan->rows[g].data() + chunk);
    }
  }
  return "";
}

// Groups unique ids whose rows rise already. False where they do not.
inline bool group_in_order(const std::vector<uint32_t>& rows, Groups* groups) {
  const size_t ids = rows.size();
  groups->start.resize(ids + 1);
  groups->row.resize(ids);
  size_t count = 0;
  for (size_t id = 0; id < ids; id++) {
    if (id > 0 && rows[id] < rows[id - 1]) return false;
    groups->start[count] = (uint32_t)id;  // stays if the row is new, is written again if not
    groups->row[count] = rows[id];
    count += id == 0 || rows[id] != rows[id - 1];
  }
  groups->start[count] = (uint32_t)ids;
  groups->start.resize(count + 1);
  groups->row.resize(count);
  return true;
}

// Where every id reads many rows of a small table, as with codes, ids are not sorted by rows: their
// vectors would be summed once for each. They are added, one after another, to sums of all rows;
// so many shares of the ids have sums of their own, which does not depend on the number of threads.
inline int64_t shares_of(const Program& program, const Pass& pass, int64_t ids) {
  constexpr int64_t kMostShares = 8, kEntriesOfRow = 8;  // so that the sums take little time
  constexpr int64_t kMostValues = 2 * kCachedValues;     // of the sums of all shares
  const Gather& gather = program.gathers[pass.gathers[0]];
  const int64_t entries = ids * (int64_t)pass.gathers.size();
  if (pass.gathers.size() == 1 || gather.rows > kMostValues / gather.width) return 0;
  return std::min({kMostShares, entries / (kEntriesOfRow * gather.rows),
                   kMostValues / (gather.rows * gather.width)});
}

inline void make_shares(const Program& program, const Pass& pass, const Plan& plan, int64_t shares,
                        Groups* groups) {
  const int64_t ids = plan.num_ids(), gathers = (int64_t)pass.gathers.size();
  groups->position_of.assign(program.gathers[pass.gathers[0]].rows, 0);
  for (const int g : pass.gathers)
    for (const uint32_t row : plan.rows[g]) groups->position_of[row] = 1;
  groups->row.clear();
  for (size_t row = 0; row < groups->position_of.size(); row++) {
    if (!groups->position_of[row]) continue;
    groups->position_of[row] = (uint32_t)groups->row.size();
    groups->row.push_back((int64_t)row);
  }
  groups->num_rows = (int64_t)groups->row.size();
  groups->start = {0, (uint32_t)(ids * gathers)};
  // Shares of as many positions and entries: busy ids have many positions.
  const auto work_before = [&](int64_t id) { return plan.start[id] + id * gathers; };
  groups->share = {0};
  for (int64_t s = 1, id = 0; s < shares; s++) {
    while (id < ids && work_before(id) < work_before(ids) * s / shares) id++;
    groups->share.push_back(id);
  }
  groups->share.push_back(ids);
}

// Groups the unique ids by the rows of a pass's table; `shares` are those of `shares_of`.
inline std::string make_groups(const Program& program, const Pass& pass, const Plan& plan,
                               std::vector<uint64_t>* buffer, Groups* groups, int64_t stretch,
                               int64_t shares) {
  const int64_t ids = plan.num_ids(), gathers = (int64_t)pass.gathers.size();
  groups->share.clear();
  if (shares > 0) {
    make_shares(program, pass, plan, shares, groups);
    return "";
  }
  groups->in_order = gathers == 1 && group_in_order(plan.rows[pass.gathers[0]], groups);
  if (groups->in_order) {
    cut_busy_rows(stretch, groups);
    return "";
  }
  const int64_t rows_of_table = program.gathers[pass.gathers[0]].rows;
  const int entry_bits = std::max(1, bits_for((uint64_t)(ids * gathers)));
  const int row_bits = bits_for((uint64_t)rows_of_table);
  if (entry_bits + row_bits > 64) return "the batch has too many ids for its tables";
  std::vector<uint64_t>& items = groups->entries;
  items.resize(ids * gathers);
  for (int64_t id = 0, i = 0; id < ids; id++)
    for (int64_t g = 0; g < gathers; g++, i++)
      items[i] = ((uint64_t)plan.rows[pass.gathers[g]][id] << entry_bits) | (uint64_t)i;
  radix_sort(&items, buffer, entry_bits, row_bits);
  const size_t rows = find_runs(items, entry_bits, &groups->start);
  groups->row.resize(rows);
  for (size_t r = 0; r < rows; r++) groups->row[r] = items[groups->start[r]] >> entry_bits;
  const uint64_t mask = (uint64_t{1} << entry_bits) - 1;
  for (uint64_t& item : items) item &= mask;
  cut_busy_rows(stretch, groups);
  return "";
}

inline std::string make_groups(const Program& program, const Pass& pass, const Plan& plan,
                               std::vector<uint64_t>* buffer, Groups* groups) {
  return make_groups(program, pass, plan, buffer, groups, kStretch,
                     shares_of(program, pass, plan.num_ids()));
}

}  // namespace memcom
