// The fields of a JSON object, each read once, with the error in the words of whoever sent it; what was not read is
// refused, so that nothing is accepted and ignored.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace finetune {

struct FieldRange {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  bool open_low = false, open_high = false;  ///< the end itself is not possible
};

/// All throw Error (bad_input, no location) naming the field: "sample.top_p is 2; a number above 0 and at most 1 is
/// possible".
class Fields {
 public:
  using Json = nlohmann::ordered_json;

  /// `name` stands before the fields: "sample". The object must outlive this.
  Fields(const Json& object, std::string name);

  /// Whether it is there; it may be.
  bool has(const std::string& key);
  /// Null where it is absent.
  const Json* find(const std::string& key);
  const Json& need(const std::string& key);
  std::string path(const std::string& key) const { return name_ + "." + key; }

  std::int64_t whole(const std::string& key, std::int64_t low, std::int64_t high);
  std::int64_t whole(const std::string& key, std::int64_t low, std::int64_t high, std::int64_t otherwise);
  double number(const std::string& key, const FieldRange& range);
  double number(const std::string& key, const FieldRange& range, double otherwise);
  bool flag(const std::string& key, bool otherwise);
  std::string text(const std::string& key);
  std::vector<std::string> texts(const std::string& key);  ///< a list, or one text; absent: none
  /// Not empty.
  const Json& list(const std::string& key);

  /// Refuses fields that nobody asked for.
  void done() const;

 private:
  const Json& object_;
  std::string name_;
  std::set<std::string> known_;
};

/// Lists of numbers, with the same words. `path` names the list.
std::vector<double> numbers_of(const nlohmann::ordered_json& list, const std::string& path);
/// Each from 0 and below `vocabulary`; at least one.
std::vector<std::int32_t> token_ids_of(const nlohmann::ordered_json& list, const std::string& path,
                                       std::int64_t vocabulary);

/// A value as it may stand in a line for people: cut where it is long.
std::string shown(const nlohmann::ordered_json& value);

}  // namespace finetune
