// What a lookup computes for an id: index arithmetic, gathers, and a sum of products. No
// TensorFlow.
//
// A program is a list of integers, and one constant a term:
//   input_dim
//   count, count * (slot, operation, operand slot, operand slot or constant)
//     or (slot, load, row slot, table of codes, column, limit): a code, which is below the limit
//     or (slot, if_negative, slot, slot, slot): the second where the first is negative, else the
//     third
//   count, count * (table, width, slot)                            the gathers
//   count, count * (width, count, count * (count, count * gather)) the segments, terms, factors
// Slot 0 holds the id. A gather of width 1 of a wider table reads single values, counted row by
// row. A segment's vector is the sum of its terms, a term the product of its factors and its
// constant; factors are as wide as the segment or hold one value, which is broadcast. Segments are
// concatenated.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "vectors.h"

namespace memcom {

constexpr int kChunk = 64;  // ids that are worked on at a time
#define OPERATION(name, text)
#define LIMIT(name, value) constexpr int k##name = value;
#include "program.def"
#undef OPERATION
#undef LIMIT
constexpr int64_t kMaxBroadcast = 1 << 16;  // values made of one, where no table is as wide
constexpr int64_t kLargestInteger = int64_t{1} << kExactBits;

enum class Operation : int64_t {
#define OPERATION(name, text) k##name,
#define LIMIT(name, value)
#include "program.def"
#undef OPERATION
};
constexpr int64_t kNumOperations = 0
#define OPERATION(name, text) +1
#include "program.def"
#undef OPERATION
#undef LIMIT
    ;

// A table of codes: integers that choose rows of other tables.
struct Codes {
  const void* data;
  bool is_int32;  // else uint8
  int64_t rows, width;
};

struct Instruction {
  Operation operation;
  int slot, operand, second, third;
  int64_t constant;
  double reciprocal;
  int64_t column, limit;  // of a load, whose `constant` is the table
  Codes codes;
};

struct Gather {
  int table, slot;
  int64_t width, rows;
  bool of_id;      // a row for every id
  bool of_values;  // of a wider table, whose values are counted as rows
  int64_t id_mod;  // the divisor where the row is a remainder of the id, else 0
};

struct Term {
  float constant;
  int64_t first_column;
  int64_t width;  // of its segment
  int num_wide, num_narrow;
  int wide[kMaxFactors], narrow[kMaxFactors];  // gathers as wide as the segment, and of one value
};

struct Range {
  int64_t low, high;
};

struct Program {
  int64_t input_dim = 0, output_dim = 0;
  int num_tables = 0;
  std::vector<Instruction> instructions;
  std::vector<Gather> gathers;
  std::vector<Term> terms;

  // Reads and checks a program. Returns what is wrong with it, or nothing.
  std::string parse(const std::vector<int64_t>& code, const std::vector<float>& constants,
                    int tables, int code_tables = 0);
  // Binds it to tables with so many rows and columns, and to codes, which must outlive it. Returns
  // what does not fit, or nothing.
  std::string bind(const std::vector<int64_t>& rows, const std::vector<int64_t>& widths,
                   const std::vector<Codes>& codes = {});
  // Whether single values of rows are read, whose gradients must be joined to rows.
  bool reads_values() const {
    return std::any_of(gathers.begin(), gathers.end(), [](const Gather& g) { return g.of_values; });
  }
  // Whether a table may hold codes that reach a limit.
  bool needs_check() const {
    for (const Instruction& line : instructions)
      if (line.operation == Operation::kLoad && (line.codes.is_int32 || line.limit < 256))
        return true;
    return false;
  }
};

namespace internal {

inline bool within(__int128 value) { return -kLargestInteger <= value && value <= kLargestInteger; }

struct Reader {
  const std::vector<int64_t>& code;
  size_t at = 0;
  bool good = true;
  int64_t next(int64_t low, int64_t high) {
    if (at >= code.size() || code[at] < low || code[at] > high) {
      good = false;
      return low;
    }
    return code[at++];
  }
};

// The range of an instruction's result; false where it could leave exact arithmetic.
inline bool range_of(const Instruction& line, const Range& a, const Range& b, const Range& third,
                     Range* result) {
  const int64_t c = line.constant;
  __int128 low = 0, high = 0;
  switch (line.operation) {
    case Operation::kMod:
      if (c < 1) return false;
      high = c - 1;
      break;
    case Operation::kDiv: {
      if (c < 1) return false;
      const auto floor_div = [c](int64_t x) { return x / c - (x % c < 0 ? 1 : 0); };
      low = floor_div(a.low);
      high = floor_div(a.high);
      break;
    }
    case Operation::kMultiply:
      low = (__int128)a.low * c;
      high = (__int128)a.high * c;
      if (low > high) std::swap(low, high);
      break;
    case Operation::kAddConstant:
      low = (__int128)a.low + c;
      high = (__int128)a.high + c;
      break;
    case Operation::kMinimum:
      low = a.low < c ? a.low : c;
      high = a.high < c ? a.high : c;
      break;
    case Operation::kAdd:
      low = (__int128)a.low + b.low;
      high = (__int128)a.high + b.high;
      break;
    case Operation::kSubtract:
      low = (__int128)a.low - b.high;
      high = (__int128)a.high - b.low;
      break;
    case Operation::kLoad:
      high = line.limit - 1;
      break;
    case Operation::kIfNegative:
      low = std::min(b.low, third.low);
      high = std::max(b.high, third.high);
      break;
  }
  if (!within(low) || !within(high) || !within(c)) return false;
  *result = {(int64_t)low, (int64_t)high};
  return true;
}

}  // namespace internal

inline std::string Program::parse(const std::vector<int64_t>& code,
                                  const std::vector<float>& constants, int tables,
                                  int code_tables) {
  internal::Reader in{code};
  *this = Program{};
  if (tables < 1) return "there are no tables";
  num_tables = tables;
  input_dim = in.next(1, kLargestInteger);
  bool written[kMaxSlots] = {true};
  int64_t id_mod[kMaxSlots] = {};
  const int64_t num_instructions = in.next(0, 4096);
  for (int64_t i = 0; i < num_instructions && in.good; i++) {
    Instruction line{};
    line.slot = (int)in.next(1, kMaxSlots - 1);
    line.operation = (Operation)in.next(0, kNumOperations - 1);
    line.operand = (int)in.next(0, kMaxSlots - 1);
    const bool chooses = line.operation == Operation::kIfNegative;
    if (chooses || line.operation == Operation::kAdd || line.operation == Operation::kSubtract) {
      line.second = (int)in.next(0, kMaxSlots - 1);
      line.third = chooses ? (int)in.next(0, kMaxSlots - 1) : 0;
    } else if (line.operation == Operation::kLoad) {
      line.constant = in.next(0, code_tables - 1);
      line.column = in.next(0, int64_t{1} << 31);
      line.limit = in.next(1, int64_t{1} << 31);
    } else {
      line.constant = in.next(-kLargestInteger, kLargestInteger);
    }
    if (!in.good || !written[line.operand] || !written[line.second] || !written[line.third])
      return "index arithmetic reads a slot before it is written";
    line.reciprocal = 1.0 / (double)(line.constant == 0 ? 1 : line.constant);
    written[line.slot] = true;
    id_mod[line.slot] = line.operation == Operation::kMod && line.operand == 0 ? line.constant : 0;
    instructions.push_back(line);
  }
  const int64_t num_gathers = in.next(1, kMaxGathers);
  for (int64_t i = 0; i < num_gathers && in.good; i++) {
    Gather gather{};
    gather.table = (int)in.next(0, tables - 1);
    gather.width = in.next(1, int64_t{1} << 31);
    gather.slot = (int)in.next(0, kMaxSlots - 1);
    gather.of_id = gather.slot == 0;
    gather.id_mod = id_mod[gather.slot];
    if (!in.good || !written[gather.slot]) return "a gather reads a slot that is not written";
    for (const Gather& other : gathers)
      if (other.table == gather.table && other.width != gather.width)
        return "gathers of one table have different widths";
    gathers.push_back(gather);
  }
  std::vector<bool> used(gathers.size(), false);
  const int64_t num_segments = in.next(1, kMaxTerms);
  for (int64_t s = 0; s < num_segments && in.good; s++) {
    const int64_t width = in.next(1, int64_t{1} << 31);
    const int64_t num_terms = in.next(1, kMaxTerms);
    bool has_wide = false;
    for (int64_t t = 0; t < num_terms && in.good; t++) {
      Term term{};
      if (terms.size() >= kMaxTerms || terms.size() >= constants.size())
        return "there are too many terms, or too few constants";
      term.constant = constants[terms.size()];
      term.first_column = output_dim;
      term.width = width;
      const int64_t num_factors = in.next(1, kMaxFactors);
      for (int64_t f = 0; f < num_factors && in.good; f++) {
        const int gather = (int)in.next(0, (int64_t)gathers.size() - 1);
        if (!in.good) break;
        used[gather] = true;
        if (gathers[gather].width == width)
          term.wide[term.num_wide++] = gather;
        else if (gathers[gather].width == 1)
          term.narrow[term.num_narrow++] = gather;
        else
          return "a factor is neither as wide as its segment nor a single value";
      }
      has_wide |= term.num_wide > 0;
      terms.push_back(term);
    }
    if (in.good && !has_wide && width > kMaxBroadcast)
      return "a segment is much wider than all of its factors";
    output_dim += width;
    if (output_dim >= (int64_t{1} << 31)) return "the vectors are too wide";
  }
  if (!in.good || in.at != code.size() || constants.size() != terms.size())
    return "the code is malformed at position " + std::to_string(in.at);
  for (size_t g = 0; g < used.size(); g++)
    if (!used[g]) return "no term has gather " + std::to_string(g);
  return "";
}

inline std::string Program::bind(const std::vector<int64_t>& rows,
                                 const std::vector<int64_t>& widths,
                                 const std::vector<Codes>& codes) {
  for (Gather& gather : gathers) {
    const int64_t width = widths[gather.table];
    gather.rows = rows[gather.table];
    gather.of_values = gather.width == 1 && width > 1;
    if (gather.of_values) {
      gather.rows = gather.rows > INT64_MAX / width ? INT64_MAX : gather.rows * width;
      gather.of_id = false;
      gather.id_mod = 0;
    } else if (width != gather.width) {
      return "table " + std::to_string(gather.table) + " must have width " +
             std::to_string(gather.width);
    }
  }
  // Every index is proved to lie inside its table for every id of the vocabulary.
  Range range[kMaxSlots] = {{0, input_dim - 1}};
  for (Instruction& line : instructions) {
    Range result;
    const Range& operand = range[line.operand];
    if (line.operation == Operation::kLoad) {
      line.codes = codes[line.constant];
      if (operand.low < 0 || operand.high >= line.codes.rows || line.column >= line.codes.width)
        return "table " + std::to_string(line.constant) + " of codes must have more than " +
               std::to_string(operand.high) + " rows and " + std::to_string(line.column) +
               " columns";
    }
    if (!internal::range_of(line, operand, range[line.second], range[line.third], &result))
      return "index arithmetic leaves the range of exact integers";
    range[line.slot] = result;
  }
  // Gathers read what the last instruction left in a slot.
  for (const Gather& gather : gathers) {
    const Range& rows_read = range[gather.slot];
    if (gather.rows > UINT32_MAX) return "tables must have fewer than 2^32 rows";
    if (rows_read.low < 0 || rows_read.high >= gather.rows)
      return "table " + std::to_string(gather.table) + " must have more than " +
             std::to_string(rows_read.high) + " rows";
  }
  return "";
}

// Values of the slots for up to kChunk ids.
struct Slots {
  int64_t value[kMaxSlots][kChunk];
};

// Floor division of |x| <= 2^51 by a positive divisor. Integers become doubles, and back, by
// adding 1.5 * 2^52, which unlike the conversions has eight lanes on every machine.
MEMCOM_INLINE int64_t floor_divide(int64_t x, int64_t divisor, double reciprocal) {
  constexpr double kMagic = 0x1.8p52;
  const int64_t magic_bits = bit_cast<int64_t>(kMagic);
  const double exact = bit_cast<double>(x + magic_bits) - kMagic;
  int64_t quotient = bit_cast<int64_t>(exact * reciprocal + kMagic) - magic_bits;  // off by one
  const int64_t rest = x - quotient * divisor;
  quotient -= rest < 0;
  quotient += rest >= divisor;
  return quotient;
}

namespace lanes {

// to = codes of the rows; 0, and false, where one reaches the limit.
template <class Code>
MEMCOM_INLINE bool load_codes(const Instruction& line, const int64_t* rows, int64_t n,
                              int64_t* to) {
  const Code* column = static_cast<const Code*>(line.codes.data) + line.column;
  bool good = true;
  for (int64_t i = 0; i < n; i++) {
    const int64_t code = column[rows[i] * line.codes.width];
    const bool fits = (uint64_t)code < (uint64_t)line.limit;
    good &= fits;
    to[i] = fits ? code : 0;
  }
  return good;
}

// Runs the index arithmetic on n <= kChunk ids in slot 0. Returns whether every code was below its
// limit; what was not counts as 0, so that no row outside of a table is read.
MEMCOM_INLINE bool compute_indices(const Program& program, Slots* slots, int64_t n) {
  bool good = true;
  for (const Instruction& line : program.instructions) {
    int64_t* to = slots->value[line.slot];
    const int64_t* a = slots->value[line.operand];
    const int64_t* b = slots->value[line.second];
    const int64_t* third = slots->value[line.third];
    const int64_t c = line.constant;
    const double r = line.reciprocal;
    switch (line.operation) {
      case Operation::kMod:
        for (int64_t i = 0; i < n; i++) to[i] = a[i] - floor_divide(a[i], c, r) * c;
        break;
      case Operation::kDiv:
        for (int64_t i = 0; i < n; i++) to[i] = floor_divide(a[i], c, r);
        break;
      case Operation::kMultiply:
        for (int64_t i = 0; i < n; i++) to[i] = a[i] * c;
        break;
      case Operation::kAddConstant:
        for (int64_t i = 0; i < n; i++) to[i] = a[i] + c;
        break;
      case Operation::kMinimum:
        for (int64_t i = 0; i < n; i++) to[i] = a[i] < c ? a[i] : c;
        break;
      case Operation::kAdd:
        for (int64_t i = 0; i < n; i++) to[i] = a[i] + b[i];
        break;
      case Operation::kSubtract:
        for (int64_t i = 0; i < n; i++) to[i] = a[i] - b[i];
        break;
      case Operation::kLoad:
        good &= line.codes.is_int32 ? load_codes<int32_t>(line, a, n, to)
                                    : load_codes<uint8_t>(line, a, n, to);
        break;
      case Operation::kIfNegative:
        for (int64_t i = 0; i < n; i++) to[i] = a[i] < 0 ? b[i] : third[i];
        break;
    }
  }
  return good;
}

}  // namespace lanes
}  // namespace memcom
