// Every rule of the format: a file that breaks it is refused with a message of its own, without LibTorch.
#include <gtest/gtest.h>

#include <string>

#include "models/model_files.h"
#include "models/safetensors_header.h"

namespace finetune {
namespace {

using testing::error_of;
using testing::holds;

std::string little_endian(std::uint64_t number) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(number >> (8 * i) & 0xff);
  return bytes;
}

std::string file_of(const std::string& header, std::size_t data) {
  return little_endian(header.size()) + header + std::string(data, '\1');
}

SafetensorsHeader parse(const std::string& file) {
  return parse_safetensors_header("f", file, file.size());
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":[)" + shape + R"(],"data_offsets":[)" + offsets + "]}";
}

struct Case {
  const char* name;
  std::string file;
  std::string message;
};

class Malformed : public ::testing::TestWithParam<Case> {};

TEST_P(Malformed, IsRefused) {
  EXPECT_TRUE(holds(error_of([] { parse(GetParam().file); }), GetParam().message));
}

const std::string kGood = entry("a", "F32", "2", "0,8");

INSTANTIATE_TEST_SUITE_P(
    Header, Malformed,
    ::testing::Values(
        Case{"Empty", "", "too short"}, Case{"SevenBytes", std::string(7, '\0'), "too short"},
        Case{"HeaderOver100MB", little_endian(100'000'001) + "{}", "at most 100,000,000"},
        Case{"LengthOverflows", little_endian(~std::uint64_t{0}) + "{}", "at most 100,000,000"},
        Case{"HeaderCut", little_endian(100) + "{}", "cut off inside its header"},
        Case{"NoHeader", file_of("", 0), "does not begin with {"},
        Case{"ByteOrderMark", file_of("\xEF\xBB\xBF{}", 0), "does not begin with {"},
        Case{"ArrayAtTop", file_of("[]", 0), "does not begin with {"},
        Case{"NotUtf8", file_of("{\"\xff\":1}", 0), "UTF-8"},
        Case{"BadJson", file_of("{\"a\":}", 0), "not valid JSON at byte"},
        Case{"Unclosed", file_of("{" + kGood, 8), "not valid JSON"},
        Case{"TextAfterHeader", file_of("{" + kGood + "} x", 8), "not valid JSON"},
        Case{"NulPadding", file_of("{" + kGood + "}" + std::string(3, '\0'), 8), "not valid JSON"},
        Case{"RepeatedTensor", file_of("{" + kGood + "," + kGood + "}", 8), "\"a\" is repeated"},
        Case{"RepeatedField", file_of(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
             "tensor a: key dtype is repeated"},
        Case{"RepeatedMetadata", file_of(R"({"__metadata__":{"x":"1","x":"2"}})", 0), "__metadata__.x is repeated"},
        Case{"RepeatedMetadataObject", file_of(R"({"__metadata__":{},"__metadata__":{}})", 0), "is repeated"},
        Case{"MetadataNotText", file_of(R"({"__metadata__":{"x":1}})", 0), "__metadata__.x is not a string"},
        Case{"MetadataNested", file_of(R"({"__metadata__":{"x":{}}})", 0), "__metadata__.x is not a string"},
        Case{"MetadataList", file_of(R"({"__metadata__":[]})", 0), "expected an object"},
        Case{"TensorNull", file_of(R"({"a":null})", 0), "tensor a: expected an object, found null"},
        Case{"TensorNumber", file_of(R"({"a":3})", 0), "tensor a: expected an object, found 3"},
        Case{"RepeatedUnknownKey",
             file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"strides":[1],"strides":[1]}})", 8),
             "tensor a: key strides is repeated"},
        Case{"MetadataFalse", file_of(R"({"__metadata__":false})", 0), "expected an object"},
        Case{"MetadataValueNull", file_of(R"({"__metadata__":{"x":null}})", 0), "__metadata__.x is not a string"},
        Case{"EntryAsList", file_of(R"({"a":["F32",[2],[0,8]]})", 8), "tensor a: expected an object, found a list"},
        Case{"NoShape", file_of(R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", 8), "lacks one of"},
        Case{"UnknownDtype", file_of("{" + entry("a", "F128", "2", "0,32") + "}", 32), "unknown dtype F128"},
        Case{"LowerCaseDtype", file_of("{" + entry("a", "f32", "2", "0,8") + "}", 8), "unknown dtype f32"},
        Case{"DtypeNumber", file_of(R"({"a":{"dtype":1,"shape":[2],"data_offsets":[0,8]}})", 8),
             "tensor a: dtype: expected"},
        Case{"NegativeSize", file_of("{" + entry("a", "F32", "-2", "0,8") + "}", 8),
             "expected a whole number, found -2"},
        Case{"FractionalSize", file_of("{" + entry("a", "F32", "2.0", "0,8") + "}", 8),
             "expected a whole number, found 2.0"},
        Case{"SizeAboveInt64", file_of("{" + entry("a", "F32", "9223372036854775808", "0,8") + "}", 8),
             "expected a whole number"},
        Case{"SizeAsText", file_of("{" + entry("a", "F32", "\"2\"", "0,8") + "}", 8), "expected a whole number"},
        Case{"ShapeNested", file_of("{" + entry("a", "F32", "[2]", "0,8") + "}", 8),
             "expected a whole number, found a list"},
        Case{"ProductOverflows", file_of("{" + entry("a", "F32", "4294967296,4294967296", "0,8") + "}", 8),
             "shape is too large"},
        Case{"OneOffset", file_of("{" + entry("a", "F32", "2", "0") + "}", 8), "not a pair"},
        Case{"ThreeOffsets", file_of("{" + entry("a", "F32", "2", "0,8,8") + "}", 8), "not a pair"},
        Case{"EndBeforeBegin", file_of("{" + entry("a", "F32", "2", "8,0") + "}", 8), "end before they begin"},
        Case{"SizeAndOffsetsDiffer", file_of("{" + entry("a", "F32", "3", "0,8") + "}", 8),
             "need 12 bytes, data_offsets give 8"},
        Case{"HalfAByte", file_of("{" + entry("a", "F4", "3", "0,1") + "}", 1), "whole byte"},
        Case{"FirstNotAtZero", file_of("{" + entry("a", "F32", "2", "4,12") + "}", 12),
             "begins at byte 4 instead of 0"},
        Case{"Hole", file_of("{" + kGood + "," + entry("b", "F32", "1", "12,16") + "}", 16), "a hole or an overlap"},
        Case{"Overlap", file_of("{" + kGood + "," + entry("b", "F32", "1", "4,8") + "}", 8), "a hole or an overlap"},
        Case{"SameBytes", file_of("{" + kGood + "," + entry("b", "F32", "2", "0,8") + "}", 8), "a hole or an overlap"},
        Case{"DataCut", file_of("{" + kGood + "}", 7), "incomplete"},
        Case{"TrailingByte", file_of("{" + kGood + "}", 9), "1 bytes after the last tensor"},
        Case{"DataWithoutTensors", file_of("{}", 1), "1 bytes after the last tensor"},
        Case{"LongNameInAMessage", file_of("{" + entry(std::string(5000, 'a'), "X", "2", "0,8") + "}", 8),
             "tensor " + std::string(200, 'a') + "...: unknown dtype"},
        Case{"LineBreakInName", file_of("{" + entry("a\\nb", "X", "2", "0,8") + "}", 8), "tensor a b: unknown dtype"}),
    [](const auto& info) { return info.param.name; });

TEST(SafetensorsHeader, ReadsScalarsEmptyTensorsAndAnyOrder) {
  const auto header =
      parse(file_of("{" + entry("b", "I64", "", "8,16") + R"(,"__metadata__":{"format":"pt"},)" +
                        entry("a", "F32", "2", "0,8") + "," + entry("none", "BF16", "0,3", "16,16") + "}   ",
                    16));
  ASSERT_EQ(header.tensors.size(), 3u);
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_EQ(header.tensors[1].name, "b");
  EXPECT_TRUE(header.tensors[1].shape.empty());
  EXPECT_EQ(header.tensors[2].shape, (std::vector<std::int64_t>{0, 3}));
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

TEST(SafetensorsHeader, WrittenHeadersReadBackAndAreAligned) {
  for (std::size_t length = 1; length < 12; ++length) {  // every padding
    std::vector<TensorEntry> tensors{{.name = std::string(length, 'n') + "\"\\", .dtype = "BF16", .shape = {3, 2}},
                                     {.name = "scalar", .dtype = "F32", .shape = {}}};
    const std::string header = make_safetensors_header(tensors, {{"format", "pt"}});
    EXPECT_EQ(header.size() % 8, 0u);
    const auto back = parse(header + std::string(16, '\0'));
    EXPECT_EQ(back.data_offset, header.size());
    ASSERT_EQ(back.tensors.size(), 2u);
    EXPECT_EQ(back.tensors[0].name, tensors[0].name);
    EXPECT_EQ(back.tensors[1].begin, 12u);
  }
  std::vector<TensorEntry> nothing;
  EXPECT_TRUE(parse(make_safetensors_header(nothing, {})).tensors.empty());
}

TEST(SafetensorsHeader, EveryCutOfAGoodFileIsRefused) {
  const std::string good = file_of("{" + kGood + R"(,"__metadata__":{"format":"pt"}})", 8);
  EXPECT_NO_THROW(parse(good));
  for (std::size_t size = 0; size < good.size(); ++size) error_of([&] { parse(good.substr(0, size)); });
}

// Each is read by the safetensors library 0.8.0.
TEST(SafetensorsHeader, ReadsWhatTheLibraryReads) {
  const auto tensors = [](const std::string& header, std::size_t data = 8) {
    return parse(file_of(header, data)).tensors;
  };
  for (const std::string metadata : {"null", "{}", R"({"format":"mlx"})", R"({"":""})"}) {
    EXPECT_EQ(tensors(R"({"__metadata__":)" + metadata + "," + kGood + "}").size(), 1u) << metadata;
    EXPECT_EQ(tensors("{" + kGood + R"(,"__metadata__":)" + metadata + "}").size(), 1u) << metadata;
  }
  EXPECT_TRUE(tensors(R"({"\u005f_metadata__":null})", 0).empty()) << "an escaped key";
  for (const std::string space : {" ", "\n", "\t\r\n  ", "   "})
    EXPECT_EQ(tensors(space + "{" + space + kGood + space + "}" + space).size(), 1u) << "any length, any padding";
  for (const std::string value :
       {"null", "true", "-1", "0.5", "\"x\"", "[1,[{}],{\"dtype\":1}]", R"({"shape":{"a":[]}})"})
    EXPECT_EQ(tensors(R"({"a":{"strides":)" + value + R"(,"dtype":"F32","shape":[2],"x":)" + value +
                      R"(,"data_offsets":[0,8]}})")[0]
                  .end,
              8u)
        << value;
  EXPECT_EQ(tensors("{" + entry("a", "F32", "1,1,1,1,1,1,1,1,2", "0,8") + "}")[0].shape.size(), 9u);
  for (const std::string& name : {std::string(), std::string("a\\u0000b"), std::string(5000, 'n')})
    EXPECT_EQ(tensors("{" + entry(name, "F32", "2", "0,8") + "}").size(), 1u) << name.size();
  std::string many = R"({"__metadata__":{"0":"")";
  for (int i = 1; i <= 10'000; ++i) many += ",\"" + std::to_string(i) + "\":\"\"";
  EXPECT_EQ(parse(file_of(many + "}}", 0)).metadata.size(), 10'001u);
}

}  // namespace
}  // namespace finetune
