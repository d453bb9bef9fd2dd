#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "models/model_files.h"
#include "models/safetensors.h"

namespace finetune {
namespace {

using testing::error_of;
using testing::holds;
using testing::TemporaryFolder;

at::Tensor numbers(const std::vector<std::int64_t>& shape, at::ScalarType dtype, double first) {
  const auto count = at::empty(shape, at::kFloat).numel();
  return (at::arange(count, at::kDouble) * 0.375 + first).view(shape).to(dtype);
}

TEST(Safetensors, TensorsOfEveryDtypeComeBackBitForBit) {
  const TemporaryFolder folder;
  // An odd number of 2-byte values before others: nothing after them is aligned to 4.
  const std::vector<std::pair<std::string, at::Tensor>> tensors{
      {"half", numbers({3}, at::kHalf, -1)},           {"bf", numbers({2, 5}, at::kBFloat16, 7)},
      {"float", numbers({2, 3, 1}, at::kFloat, -100)}, {"scalar", at::scalar_tensor(2.5, at::kFloat)},
      {"empty", at::empty({0, 4}, at::kFloat)},        {"turned", numbers({3, 4}, at::kFloat, 1).t()}};
  write_safetensors(folder.path() / "f.safetensors", tensors);
  const SafetensorsFile file(folder.path() / "f.safetensors");
  EXPECT_EQ(file.header().tensors.size(), tensors.size());
  EXPECT_EQ(file.header().metadata.at("format"), "pt");
  EXPECT_EQ(file.header().data_offset % 8, 0u);
  for (const auto& [name, tensor] : tensors) {
    const TensorEntry* entry = file.find(name);
    ASSERT_NE(entry, nullptr) << name;
    const at::Tensor back = file.read(*entry);
    EXPECT_EQ(back.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(back.sizes(), tensor.sizes()) << name;
    EXPECT_TRUE(at::equal(back, tensor)) << name;
  }
  EXPECT_EQ(file.find("other"), nullptr);
  // Wide types first, then names: as the reference writer orders them.
  std::string order;
  for (const auto& entry : file.header().tensors) order += entry.name + " ";
  EXPECT_EQ(order, "empty float scalar turned bf half ");
}

// Bytes of a mapped file that count as this process's memory.
std::int64_t resident_kilobytes(const std::filesystem::path& path) {
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  std::int64_t sum = 0;
  while (std::getline(maps, line)) {
    if (line.find('-') < line.find(' ')) inside = line.ends_with(path.string());
    if (inside && line.starts_with("Rss:")) sum += std::stoll(line.substr(4));
  }
  return sum;
}

// A model that is loaded would else be in memory twice.
TEST(Safetensors, PagesThatHaveBeenReadAreGivenBack) {
  const TemporaryFolder folder;
  const auto path = std::filesystem::absolute(folder.path() / "f.safetensors");
  write_safetensors(path, {{"a", at::ones({1 << 20})}, {"b", at::ones({1 << 20}, at::kBFloat16)}});
  const SafetensorsFile file(path);
  ASSERT_GT(resident_kilobytes(path), 0) << "the header at least";
  for (int again = 0; again < 2; ++again) {
    EXPECT_TRUE(at::equal(file.read(*file.find("a")), at::ones({1 << 20})));
    EXPECT_TRUE(at::equal(file.read(*file.find("b")), at::ones({1 << 20}, at::kBFloat16)));
  }
  EXPECT_LT(resident_kilobytes(path), 512);  // of 6 MiB: header, seams, and what the kernel reads around a fault
}

TEST(Safetensors, UnalignedForeignFilesAreRead) {
  const TemporaryFolder folder;
  // A header of odd length and a 2-byte tensor before a 4-byte one: the float lies at an odd address.
  const std::string header =
      R"({"h":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},"f":{"dtype":"F32","shape":[2],"data_offsets":[2,10]}} )";
  ASSERT_EQ(header.size() % 2, 1u);
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  const float values[] = {1.5f, -3.25f};
  bytes += header + std::string("\0\x3c", 2) + std::string(reinterpret_cast<const char*>(values), 8);
  testing::write_text(folder.path() / "f", bytes);
  const SafetensorsFile file(folder.path() / "f");
  EXPECT_EQ(file.read(*file.find("h")).item<float>(), 1.0f);
  EXPECT_TRUE(at::equal(file.read(*file.find("f")), at::tensor({1.5f, -3.25f})));
}

TEST(Safetensors, ConversionOnTheWayOutRoundsAndChecksTheRange) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "f";
  const at::Tensor values = at::tensor({1.0f, 1.003f, -70000.0f});
  write_safetensors(path, {{"t", values}}, {.dtype = at::kBFloat16});
  const SafetensorsFile file(path);
  EXPECT_TRUE(at::equal(file.read(*file.find("t")), values.to(at::kBFloat16)));
  // 70000 is above the largest half, 65504: the file that is there stays.
  const std::string before = testing::read_text(path);
  EXPECT_TRUE(holds(error_of(
                        [&] {
                          write_safetensors(path, {{"t", values}}, {.dtype = at::kHalf});
                        },
                        ErrorKind::failed),
                    "tensor t holds values beyond the range of F16"));
  EXPECT_EQ(testing::read_text(path), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << "a temporary file was left";
}

TEST(Safetensors, WhatCannotBeUsedIsNamed) {
  const TemporaryFolder folder;
  EXPECT_TRUE(holds(error_of([&] { SafetensorsFile file(folder.path() / "none"); }), "cannot be opened"));
  EXPECT_TRUE(holds(error_of([&] { SafetensorsFile file(folder.path()); }), "not a regular file"));
  testing::write_text(folder.path() / "empty", "");
  EXPECT_TRUE(holds(error_of([&] { SafetensorsFile file(folder.path() / "empty"); }), "too short"));
  std::vector<TensorEntry> entries{{.name = "t", .dtype = "I64", .shape = {1}}};
  testing::write_text(folder.path() / "i", make_safetensors_header(entries, {}) + std::string(8, '\0'));
  const SafetensorsFile file(folder.path() / "i");
  EXPECT_TRUE(holds(error_of([&] { file.read(*file.find("t")); }), "tensor t: dtype I64 cannot be used"));
  EXPECT_TRUE(holds(error_of(
                        [&] {
                          write_safetensors(folder.path() / "d", {{"t", at::zeros({1}, at::kDouble)}});
                        },
                        ErrorKind::failed),
                    "tensor t has a dtype that cannot be written"));
}

TEST(AllFinite, SeesNanAndBothInfinitiesInEveryDtype) {
  for (const auto dtype : {at::kFloat, at::kHalf, at::kBFloat16}) {
    const at::Tensor good = numbers({100}, dtype, -3);
    EXPECT_TRUE(all_finite(good));
    for (const double bad :
         {std::nan(""), std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
      for (const std::int64_t place : {0, 57, 99}) {
        at::Tensor values = good.clone();
        values[place] = bad;
        EXPECT_FALSE(all_finite(values)) << bad << " at " << place;
      }
    }
  }
  EXPECT_TRUE(all_finite(at::empty({0}, at::kFloat)));
}

}  // namespace
}  // namespace finetune
