// Values of a template: those of Python that a chat template meets. Everything but a namespace is immutable, so values
// are shared freely and cannot form cycles; namespaces and loops belong to the render and are pointed to.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace finetune::jinja {

/// What goes wrong while a template is read or rendered; whoever knows the line turns it into an Error.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Value;
struct Dict;
struct Sequence;
struct Namespace;
struct Loop;
struct Callable;
using SharedText = std::shared_ptr<const std::string>;

struct None {};

/// What a name or attribute that is not there gives: prints as nothing, and faults when more is asked of it.
struct Undefined {
  SharedText name;  ///< may be null
  const char* owner =
      nullptr;  ///< "dict object": what had no such attribute; null: a variable; without name: the fault
  std::string message() const;
};

struct Text {
  SharedText bytes;     ///< valid UTF-8
  bool markup = false;  ///< result of `safe` or `escape`: text added to it is escaped
};

class Value {
 public:
  using Data = std::variant<Undefined, None, bool, std::int64_t, double, Text, std::shared_ptr<const Sequence>,
                            std::shared_ptr<const Dict>, Namespace*, Loop*, std::shared_ptr<const Callable>>;

  Value() = default;
  Value(Data data) : data_(std::move(data)) {}  // NOLINT(google-explicit-constructor): one of the alternatives
  static Value text(std::string bytes, bool markup = false);

  template <typename T>
  const T* as() const {
    return std::get_if<T>(&data_);
  }
  template <typename T>
  bool is() const {
    return std::holds_alternative<T>(data_);
  }
  bool is_undefined() const { return is<Undefined>(); }
  bool is_text() const { return is<Text>(); }
  const std::string& bytes() const { return *std::get<Text>(data_).bytes; }  ///< of a text
  bool markup() const { return is_text() && std::get<Text>(data_).markup; }
  const Sequence* sequence() const;  ///< null for anything else
  const Dict* dict() const;
  /// bool, int: true and the number; Python's bool is an int.
  bool whole(std::int64_t& number) const;
  bool number(double& number) const;  ///< bool, int, float
  const Data& data() const { return data_; }

 private:
  Data data_;
};

/// Lists, tuples, and what Python gives that can be gone through: generators (once), ranges, views of a dict.
struct Sequence {
  enum class Kind { list, tuple, generator, range, keys, values, items };
  Kind kind = Kind::list;
  std::vector<Value> items;
  int depth = 1;                  ///< containers inside containers, itself included
  std::int64_t weight = 1;        ///< as weight_of
  mutable std::size_t taken = 0;  ///< generator: how many have been handed out
};

struct ValueHash {
  std::size_t operator()(const Value& value) const;
};
struct ValueEqual {
  bool operator()(const Value& a, const Value& b) const;
};

/// In order of insertion.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  int depth = 1;
  std::int64_t weight = 1;
  const Value* find(const Value& key) const;  ///< null: not there. Faults for a key that cannot be hashed
  const Value* find(std::string_view key) const;
  void set(const Value& key, Value value);  ///< only while it is made

 private:
  std::unordered_map<Value, std::size_t, ValueHash, ValueEqual> index_;  // of dicts that are not small
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes;
  Value* find(std::string_view name);
};

/// Deeper containers fault: what walks them recurses.
constexpr int kDeepest = 200;
/// Heavier ones too: a list of one list twice, again and again, is small in memory and endless to print.
constexpr std::int64_t kHeaviest = 1 << 24;

/// The work of walking a value: values inside, each as often as it occurs, and a sixteenth of the bytes of texts.
std::int64_t weight_of(const Value& value);

/// Fault when nested too deep or too heavy.
Value make_sequence(Sequence::Kind kind, std::vector<Value> items);
Value make_dict(Dict dict);

/// Numbers that do not fit 64 bits and nesting beyond kDeepest fault.
Value from_json(const nlohmann::ordered_json& json);

bool truthy(const Value& value);
bool equal(const Value& a, const Value& b);
/// -1, 0, 1; faults for types that have no order.
int compare(const Value& a, const Value& b);

/// For messages: "int", "str", "dict" ...
const char* type_name(const Value& value);

}  // namespace finetune::jinja
