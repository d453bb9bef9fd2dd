#include "data/parquet/cell_json.h"

#include <arrow/array/array_dict.h>
#include <arrow/array/array_nested.h>
#include <arrow/extension_type.h>
#include <arrow/scalar.h>
#include <arrow/util/float16.h>

#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "core/error.h"
#include "core/files.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDeepestCell = 32;  // as in .jsonl

template <typename ArrayType>
const ArrayType& as(const arrow::Array& array) {
  return static_cast<const ArrayType&>(array);
}

// 0.1 as a float is 0.100000001490116 as a double; a person wrote 0.1.
double shortest(float value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  double read = 0;
  std::from_chars(text.data(), end, read);
  return read;
}

Json real(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json text(std::string_view bytes) {
  if (!is_utf8(bytes)) throw bad_input("", "holds bytes that are no UTF-8 text");
  return std::string(bytes);
}

Json list(const arrow::Array& values, std::int64_t begin, std::int64_t length, int depth) {
  Json items = Json::array();
  for (std::int64_t i = begin; i < begin + length; ++i) items.push_back(cell_json(values, i, depth));
  return items;
}

template <typename ListArray>
Json list_at(const arrow::Array& array, std::int64_t row, int depth) {
  const auto& lists = as<ListArray>(array);
  return list(*lists.values(), lists.value_offset(row), lists.value_length(row), depth);
}

Json object(const arrow::StructArray& array, std::int64_t row, int depth) {
  Json fields = Json::object();
  for (int i = 0; i < array.num_fields(); ++i)
    put_named(fields, array.struct_type()->field(i)->name(), cell_json(*array.field(i), row, depth));
  return fields;
}

Json map_object(const arrow::MapArray& array, std::int64_t row, int depth) {
  Json fields = Json::object();
  for (std::int64_t i = array.value_offset(row); i < array.value_offset(row) + array.value_length(row); ++i) {
    const Json key = cell_json(*array.keys(), i, depth);
    if (!key.is_string()) throw bad_input("", "is a map whose keys are no texts");
    put_named(fields, key.get<std::string>(), cell_json(*array.items(), i, depth));
  }
  return fields;
}

// Dates, times, decimals: as Arrow writes them.
Json as_text(const arrow::Array& array, std::int64_t row) {
  const auto scalar = array.GetScalar(row);
  if (!scalar.ok()) throw bad_input("", "has a value that cannot be read: " + scalar.status().message());
  return (*scalar)->ToString();
}

}  // namespace

void put_named(Json& object, const std::string& name, Json value) {
  if (!is_utf8(name)) throw bad_input("", "has a name that is no UTF-8 text");
  if (object.contains(name)) throw bad_input("", "names \"" + name + "\" twice");
  object[name] = std::move(value);
}

Json cell_json(const arrow::Array& array, std::int64_t row, int depth) {
  if (depth > kDeepestCell) throw bad_input("", "is nested deeper than " + std::to_string(kDeepestCell) + " levels");
  if (array.IsNull(row)) return nullptr;
  using arrow::Type;
  switch (array.type_id()) {
    case Type::NA:
      return nullptr;
    case Type::BOOL:
      return as<arrow::BooleanArray>(array).Value(row);
    case Type::INT8:
      return as<arrow::Int8Array>(array).Value(row);
    case Type::INT16:
      return as<arrow::Int16Array>(array).Value(row);
    case Type::INT32:
      return as<arrow::Int32Array>(array).Value(row);
    case Type::INT64:
      return as<arrow::Int64Array>(array).Value(row);
    case Type::UINT8:
      return as<arrow::UInt8Array>(array).Value(row);
    case Type::UINT16:
      return as<arrow::UInt16Array>(array).Value(row);
    case Type::UINT32:
      return as<arrow::UInt32Array>(array).Value(row);
    case Type::UINT64:
      return as<arrow::UInt64Array>(array).Value(row);
    case Type::HALF_FLOAT:
      return real(shortest(arrow::util::Float16::FromBits(as<arrow::HalfFloatArray>(array).Value(row)).ToFloat()));
    case Type::FLOAT:
      return real(shortest(as<arrow::FloatArray>(array).Value(row)));
    case Type::DOUBLE:
      return real(as<arrow::DoubleArray>(array).Value(row));
    case Type::STRING:
      return text(as<arrow::StringArray>(array).GetView(row));
    case Type::LARGE_STRING:
      return text(as<arrow::LargeStringArray>(array).GetView(row));
    case Type::STRING_VIEW:
      return text(as<arrow::StringViewArray>(array).GetView(row));
    case Type::BINARY:
      return text(as<arrow::BinaryArray>(array).GetView(row));
    case Type::LARGE_BINARY:
      return text(as<arrow::LargeBinaryArray>(array).GetView(row));
    case Type::LIST:
      return list_at<arrow::ListArray>(array, row, depth + 1);
    case Type::LARGE_LIST:
      return list_at<arrow::LargeListArray>(array, row, depth + 1);
    case Type::FIXED_SIZE_LIST:
      return list_at<arrow::FixedSizeListArray>(array, row, depth + 1);
    case Type::STRUCT:
      return object(as<arrow::StructArray>(array), row, depth + 1);
    case Type::MAP:
      return map_object(as<arrow::MapArray>(array), row, depth + 1);
    case Type::DICTIONARY: {
      const auto& categories = as<arrow::DictionaryArray>(array);
      return cell_json(*categories.dictionary(), categories.GetValueIndex(row), depth + 1);
    }
    case Type::EXTENSION:
      return cell_json(*as<arrow::ExtensionArray>(array).storage(), row, depth + 1);
    case Type::DATE32:
    case Type::DATE64:
    case Type::TIME32:
    case Type::TIME64:
    case Type::TIMESTAMP:
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL128:
    case Type::DECIMAL256:
      return as_text(array, row);
    default:
      throw bad_input("", "has the type " + array.type()->ToString() + ", which is not read");
  }
}

}  // namespace finetune
