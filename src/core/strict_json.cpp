#include "core/strict_json.h"

#include <set>
#include <vector>

#include "core/error.h"
#include "core/files.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

// Builds the document and keeps the keys of each open object to see repeated ones.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string_view where, int max_depth) : where_(where), max_depth_(max_depth) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (!keys_.back().insert(name).second) throw bad_input(where_, "key \"" + name + "\" is repeated");
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    std::string why = error.what();
    if (const auto colon = why.rfind(": "); colon != std::string::npos) why = why.substr(colon + 2);
    throw bad_input(where_, "is not valid JSON at byte " + std::to_string(position) + ": " + why.substr(0, 200));
  }

  Json take() { return std::move(root_); }

 private:
  // The value goes into the innermost open container; returns where it now is.
  Json& place(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return root_;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return parent.back();
    }
    return parent.get_ref<Json::object_t&>().emplace_back(std::move(key_), std::move(value)).second;
  }
  bool put(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json container) {
    if (static_cast<int>(open_.size()) >= max_depth_) {
      throw bad_input(where_, "is nested deeper than " + std::to_string(max_depth_) + " levels");
    }
    open_.push_back(&place(std::move(container)));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    open_.pop_back();
    keys_.pop_back();
    return true;
  }

  std::string_view where_;
  int max_depth_;
  Json root_;
  std::vector<Json*> open_;
  std::vector<std::set<std::string>> keys_;
  std::string key_;
};

}  // namespace

nlohmann::ordered_json parse_strict_json(std::string_view where, std::string_view text, int max_depth) {
  require_utf8(where, text);
  // The parser takes a NUL byte for the end and would pass over what follows.
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
    throw bad_input(where, "is not valid JSON at byte " + std::to_string(nul + 1) + ": a NUL byte");
  }
  Builder builder(where, max_depth);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

nlohmann::ordered_json read_json_file(const std::string& path, int max_depth) {
  return parse_strict_json(path, read_file(path), max_depth);
}

}  // namespace finetune
