#include "models/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "core/files.h"

namespace finetune {
namespace {

// Limits of the format's reference reader (header) and of reason.
constexpr std::uint64_t kLongestHeader = 100'000'000;
constexpr std::size_t kMostTensors = 1'000'000;
constexpr std::size_t kLongestShown = 200;  // of a name in a message
constexpr const char* kMetadata = "__metadata__";

struct DtypeSize {
  const char* name;
  std::uint64_t bits;
};
constexpr std::array kDtypes = {
    DtypeSize{"BOOL", 8},    DtypeSize{"F4", 4},          DtypeSize{"F6_E2M3", 6},     DtypeSize{"F6_E3M2", 6},
    DtypeSize{"U8", 8},      DtypeSize{"I8", 8},          DtypeSize{"F8_E5M2", 8},     DtypeSize{"F8_E4M3", 8},
    DtypeSize{"F8_E8M0", 8}, DtypeSize{"F8_E4M3FNUZ", 8}, DtypeSize{"F8_E5M2FNUZ", 8}, DtypeSize{"I16", 16},
    DtypeSize{"U16", 16},    DtypeSize{"F16", 16},        DtypeSize{"BF16", 16},       DtypeSize{"I32", 32},
    DtypeSize{"U32", 32},    DtypeSize{"F32", 32},        DtypeSize{"C64", 64},        DtypeSize{"F64", 64},
    DtypeSize{"I64", 64},    DtypeSize{"U64", 64}};

std::uint64_t dtype_bits(std::string_view name) {
  for (const auto& dtype : kDtypes) {
    if (name == dtype.name) return dtype.bits;
  }
  return 0;
}

std::string tensor_text(const std::string& name) {
  return "tensor " + name.substr(0, kLongestShown) + (name.size() > kLongestShown ? "...: " : ": ");
}

// Reads the header as events, so that nothing is held but what is kept: a document of 100 MB of brackets costs no more
// than its text. A repeated key is seen when it comes.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(const std::string& path, SafetensorsHeader& header) : path_(path), header_(header) {}

  bool null() override {
    return (place_ == Place::top && entry_.name == kMetadata) || skip_scalar() || unexpected("null");
  }
  bool boolean(bool) override { return skip_scalar() || unexpected("true or false"); }
  bool number_integer(number_integer_t value) override { return skip_scalar() || unexpected(std::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override {
    return skip_scalar() || unexpected(text.substr(0, 40));
  }
  bool binary(binary_t&) override { return unexpected("bytes"); }
  bool number_unsigned(number_unsigned_t value) override;
  bool string(string_t& value) override;
  bool start_object(std::size_t) override;
  bool key(string_t& name) override;
  bool end_object() override;
  bool start_array(std::size_t) override;
  bool end_array() override;
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    throw bad_input(path_, "its header is not valid JSON at byte " + std::to_string(position));
  }

 private:
  enum class Place { start, top, metadata, entry, unknown, shape, offsets, end };
  static constexpr unsigned kDtypeField = 1, kShapeField = 2, kOffsetsField = 4, kAllFields = 7;

  [[noreturn]] bool unexpected(const std::string& found) const {
    if (place_ == Place::metadata) throw bad_input(path_, "__metadata__." + key_ + " is not a string: " + found);
    if (place_ == Place::start) throw bad_input(path_, "its header is not an object");
    const char* expected = place_ == Place::top     ? "an object"
                           : place_ != Place::entry ? "a whole number"
                                                    : "another type";
    throw bad_input(path_, tensor_text(entry_.name) + (place_ == Place::entry ? key_ + ": " : "") + "expected " +
                               expected + ", found " + found);
  }
  // The value of a key that the format does not know is passed over, as the reference reader does.
  bool skip_scalar();
  bool skip_begin();
  bool skip_end();
  void begin_field(const std::string& name);
  void end_entry();

  const std::string& path_;
  SafetensorsHeader& header_;
  Place place_ = Place::start;
  std::unordered_set<std::string> names_;
  TensorEntry entry_;
  std::vector<std::uint64_t> offsets_;
  std::string key_;
  unsigned seen_ = 0, field_ = 0;
  std::set<std::string> unknown_;  // keys of this entry
  std::size_t depth_ = 0;          // of brackets open inside an unknown key's value
};

bool HeaderReader::skip_scalar() {
  if (place_ != Place::unknown) return false;
  if (depth_ == 0) place_ = Place::entry;
  return true;
}

bool HeaderReader::skip_begin() {
  if (place_ != Place::unknown) return false;
  ++depth_;
  return true;
}

bool HeaderReader::skip_end() {
  if (place_ != Place::unknown) return false;
  if (--depth_ == 0) place_ = Place::entry;
  return true;
}

bool HeaderReader::number_unsigned(number_unsigned_t value) {
  if (skip_scalar()) return true;
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) unexpected(std::to_string(value));
  if (place_ == Place::shape) {
    entry_.shape.push_back(static_cast<std::int64_t>(value));
  } else if (place_ == Place::offsets) {
    if (offsets_.size() == 2) throw bad_input(path_, tensor_text(entry_.name) + "data_offsets is not a pair");
    offsets_.push_back(value);
  } else {
    unexpected(std::to_string(value));
  }
  return true;
}

bool HeaderReader::string(string_t& value) {
  if (skip_scalar()) return true;
  if (place_ == Place::metadata) {
    header_.metadata[key_] = std::move(value);
  } else if (place_ == Place::entry && field_ == kDtypeField) {
    if (dtype_bits(value) == 0)
      throw bad_input(path_, tensor_text(entry_.name) + "unknown dtype " + value.substr(0, 40));
    entry_.dtype = std::move(value);
  } else {
    unexpected("a string");
  }
  return true;
}

bool HeaderReader::start_object(std::size_t) {
  if (skip_begin()) return true;
  if (place_ == Place::start) {
    place_ = Place::top;
  } else if (place_ == Place::top) {
    place_ = entry_.name == kMetadata ? Place::metadata : Place::entry;
    seen_ = field_ = 0;
    unknown_.clear();
  } else {
    unexpected("an object");
  }
  return true;
}

bool HeaderReader::key(string_t& name) {
  if (place_ == Place::unknown) return true;
  if (place_ == Place::metadata) {
    if (!header_.metadata.emplace(name, "").second) throw bad_input(path_, "key __metadata__." + name + " is repeated");
    key_ = std::move(name);
  } else if (place_ == Place::entry) {
    begin_field(name);
  } else {
    if (names_.size() == kMostTensors) throw bad_input(path_, "has more than 1,000,000 tensors");
    if (!names_.insert(name).second) throw bad_input(path_, "key \"" + name + "\" is repeated");
    entry_ = {};
    offsets_.clear();
    entry_.name = std::move(name);
  }
  return true;
}

void HeaderReader::begin_field(const std::string& name) {
  field_ = name == "dtype" ? kDtypeField : name == "shape" ? kShapeField : name == "data_offsets" ? kOffsetsField : 0u;
  const bool repeated = field_ == 0 ? !unknown_.insert(name).second : (seen_ & field_) != 0;
  if (repeated) throw bad_input(path_, tensor_text(entry_.name) + "key " + name + " is repeated");
  seen_ |= field_;
  if (field_ == 0) place_ = Place::unknown;
  key_ = name;
}

bool HeaderReader::end_object() {
  if (skip_end()) return true;
  if (place_ == Place::entry) end_entry();
  place_ = place_ == Place::top ? Place::end : Place::top;
  return true;
}

bool HeaderReader::start_array(std::size_t) {
  if (skip_begin()) return true;
  if (place_ != Place::entry || field_ == kDtypeField) unexpected("a list");
  place_ = field_ == kShapeField ? Place::shape : Place::offsets;
  return true;
}

bool HeaderReader::end_array() {
  if (skip_end()) return true;
  place_ = Place::entry;
  return true;
}

void HeaderReader::end_entry() {
  const std::string what = tensor_text(entry_.name);
  if (seen_ != kAllFields) throw bad_input(path_, what + "lacks one of dtype, shape and data_offsets");
  if (offsets_.size() != 2) throw bad_input(path_, what + "data_offsets is not a pair");
  entry_.begin = offsets_[0];
  entry_.end = offsets_[1];
  if (entry_.end < entry_.begin) throw bad_input(path_, what + "data_offsets end before they begin");
  std::uint64_t bits = dtype_bits(entry_.dtype);
  for (const auto size : entry_.shape) {
    const auto count = static_cast<std::uint64_t>(size);
    if (count != 0 && bits > std::numeric_limits<std::uint64_t>::max() / count) {
      throw bad_input(path_, what + "its shape is too large");
    }
    bits *= count;
  }
  if (bits % 8 != 0) throw bad_input(path_, what + "its last element does not end at a whole byte");
  if (bits / 8 != entry_.end - entry_.begin) {
    throw bad_input(path_, what + "shape and dtype need " + std::to_string(bits / 8) + " bytes, data_offsets give " +
                               std::to_string(entry_.end - entry_.begin));
  }
  header_.tensors.push_back(std::move(entry_));
}

// Each tensor must begin where the one before ends: that rejects holes and overlaps together.
void check_layout(const std::string& path, const std::vector<TensorEntry>& tensors, std::uint64_t data_size) {
  std::uint64_t position = 0;
  for (const auto& tensor : tensors) {
    if (tensor.begin != position) {
      throw bad_input(path, "tensor " + tensor.name + ": begins at byte " + std::to_string(tensor.begin) +
                                " instead of " + std::to_string(position) + " (a hole or an overlap)");
    }
    position = tensor.end;
  }
  if (position > data_size) {
    throw bad_input(path, "is incomplete: the header describes " + std::to_string(position) +
                              " bytes of data, the file has " + std::to_string(data_size));
  }
  if (position < data_size) {
    throw bad_input(path, "has " + std::to_string(data_size - position) + " bytes after the last tensor");
  }
}

}  // namespace

std::uint64_t dtype_bytes(std::string_view dtype) {
  return dtype_bits(dtype) % 8 == 0 ? dtype_bits(dtype) / 8 : 0;
}

std::uint64_t safetensors_header_length(const std::string& path, std::string_view first_bytes,
                                        std::uint64_t file_size) {
  if (first_bytes.size() < 8 || file_size < 8) throw bad_input(path, "is too short to be a safetensors file");
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i)
    length = length << 8 | static_cast<unsigned char>(first_bytes[static_cast<std::size_t>(i)]);
  if (length > kLongestHeader)
    throw bad_input(path, "its header claims " + std::to_string(length) + " bytes; at most 100,000,000 are allowed");
  if (length > file_size - 8) throw bad_input(path, "is cut off inside its header");
  return length;
}

SafetensorsHeader parse_safetensors_header(const std::string& path, std::string_view prefix, std::uint64_t file_size) {
  const std::uint64_t length = safetensors_header_length(path, prefix, file_size);
  const std::string_view text = prefix.substr(8, length);
  if (text.size() != length) throw bad_input(path, "is cut off inside its header");
  // The parser would pass over a byte order mark, which the reference reader refuses.
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{') throw bad_input(path, "its header does not begin with {");
  require_utf8(path, text);
  if (text.find('\0') != std::string_view::npos) {  // the parser would take it for the end
    throw bad_input(path, "its header is not valid JSON: it holds a NUL byte");
  }
  SafetensorsHeader header;
  header.data_offset = 8 + length;
  HeaderReader reader(path, header);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  std::stable_sort(header.tensors.begin(), header.tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  check_layout(path, header.tensors, file_size - header.data_offset);
  return header;
}

std::string make_safetensors_header(std::vector<TensorEntry>& tensors,
                                    const std::map<std::string, std::string>& metadata) {
  const auto quoted = [](const std::string& name) { return nlohmann::json(name).dump() + ":"; };
  std::string text = metadata.empty() ? "{" : "{" + quoted(kMetadata) + nlohmann::json(metadata).dump() + ",";
  std::uint64_t position = 0;
  for (auto& tensor : tensors) {
    std::uint64_t bytes = dtype_bytes(tensor.dtype);
    for (const auto size : tensor.shape) bytes *= static_cast<std::uint64_t>(size);
    tensor.begin = position;
    tensor.end = position += bytes;
    text += quoted(tensor.name) + R"({"dtype":")" + tensor.dtype + R"(","shape":)" +
            nlohmann::json(tensor.shape).dump() + R"(,"data_offsets":[)" + std::to_string(tensor.begin) + "," +
            std::to_string(tensor.end) + "]},";
  }
  if (text.back() == ',') text.pop_back();
  text += "}";
  text.append((8 - text.size() % 8) % 8, ' ');  // data begins at a multiple of 8
  std::string header(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) header[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  return header + text;
}

}  // namespace finetune
