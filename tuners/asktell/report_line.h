// The one request that comes at every step, read in microseconds. Everything else an asktell line may be, right or
// wrong, goes through core/strict_json.h, whose words say what is wrong with it; this reader accepts a part of what
// that accepts and gives the same values.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace finetune {

/// An entry of a report as it stands in the line.
struct ReportEntry {
  std::int64_t id = 0, step = 0;
  double value = 0;  ///< NaN and the infinities where the line has "nan", "inf", "-inf"
};

class ReportLineReader {
 public:
  ReportLineReader();
  ~ReportLineReader();
  ReportLineReader(ReportLineReader&&) noexcept;

  /// The entries of a well-formed {"report":[{"id":0,"step":1,"value":0.4}, ...]}; null for any other line. Valid until
  /// the next call.
  const std::vector<ReportEntry>* read(std::string_view line);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace finetune
