// Merged and whole checkpoints: the numbers of PEFT's merge, complete folders, all or nothing.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <span>

#include "core/strict_json.h"
#include "models/export.h"
#include "models/model_files.h"
#include "models/safetensors.h"
#include "support/compare.h"
#include "support/goldens.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::golden_path;
using testing::holds;
using testing::read_text;
using testing::TemporaryFolder;

BaseModel llama(at::ScalarType dtype = at::kFloat) {
  return load_checkpoint(golden_path("models/llama"), dtype);
}

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
}

void expect_same(BaseModel& a, BaseModel& b) {
  const auto list_a = named_tensors(a), list_b = named_tensors(b);
  ASSERT_EQ(list_a.size(), list_b.size());
  for (std::size_t i = 0; i < list_a.size(); ++i) {
    EXPECT_EQ(list_a[i].first, list_b[i].first);
    EXPECT_TRUE(at::equal(list_a[i].second, list_b[i].second)) << list_a[i].first;
  }
}

TEST(Merge, EqualsPeft) {
  for (const char* name : {"plain", "rslora", "pattern"}) {
    BaseModel model = llama();
    const auto folder = golden_path("adapters") / name;
    merge_adapter(model, load_peft_adapter(folder, model.options));
    const auto golden = read_json_file((folder / "merged.json").string());
    std::size_t compared = 0;
    for (const auto& [tensor_name, tensor] : named_tensors(model)) {
      if (!golden.contains(tensor_name)) continue;
      const auto expected = golden[tensor_name].get<std::vector<double>>();
      const at::Tensor values = tensor.to(at::kDouble).flatten().contiguous();
      std::vector<double> actual{values.sum().item<double>()};
      for (std::int64_t i = 0; i < values.numel(); i += 97) actual.push_back(values[i].item<double>());
      // Elements: at most 4 products and one sum in fp32, each rounded by 6e-8 of values below 4. The sum over at most
      // 960 elements: their errors add up to no more than 960 x 4 x 3e-7.
      EXPECT_TRUE(testing::near(actual[0], expected[0], {.absolute = 1.2e-3})) << name << " " << tensor_name;
      EXPECT_TRUE(testing::all_near(std::span<const double>(actual).subspan(1),
                                    std::span<const double>(expected).subspan(1), {.absolute = 1.2e-6}))
          << name << " " << tensor_name;
      ++compared;
    }
    EXPECT_EQ(compared, 14u);
  }
}

TEST(Merge, LeavesTensorsThatShareStorageAlone) {
  BaseModel model = llama();
  const BaseModel shared = model;
  const at::Tensor before = model.weights.blocks[0].qkv_ED.clone();
  merge_adapter(model, load_peft_adapter(golden_path("adapters/plain"), model.options));
  EXPECT_TRUE(at::equal(shared.weights.blocks[0].qkv_ED, before));
  EXPECT_FALSE(at::equal(model.weights.blocks[0].qkv_ED, before));
}

TEST(Merge, ResultsBeyondTheRangeAreAnError) {
  BaseModel model = llama();
  PeftAdapter adapter = load_peft_adapter(golden_path("adapters/plain"), model.options);
  adapter.spec.alpha = 1e60;
  EXPECT_TRUE(
      holds(error_of([&] { merge_adapter(model, adapter); }, ErrorKind::failed), "model.layers.0.self_attn.q_proj"));
}

TEST(WriteCheckpoint, ReadsBackInEveryDtypeAndSaysSo) {
  struct Case {
    at::ScalarType dtype;
    const char* name;
  };
  for (const auto& [dtype, name] :
       {Case{at::kFloat, "float32"}, Case{at::kBFloat16, "bfloat16"}, Case{at::kHalf, "float16"}}) {
    const TemporaryFolder folder;
    BaseModel model = llama();
    write_checkpoint(model, dtype, golden_path("models/llama"), folder.path() / "out");
    BaseModel back = load_checkpoint(folder.path() / "out", at::kFloat);
    EXPECT_EQ(back.file_dtype, dtype);
    EXPECT_EQ(back.config["dtype"], name);
    EXPECT_FALSE(back.config.contains("torch_dtype"));
    for (const auto& [tensor_name, tensor] : named_tensors(model)) tensor.copy_(tensor.to(dtype));
    expect_same(model, back);
    EXPECT_EQ(entries(folder.path()), 1u) << "a temporary folder was left";
  }
}

TEST(WriteCheckpoint, FollowsTheSpellingOfItsSource) {
  const TemporaryFolder folder;
  BaseModel model = llama();
  model.config.erase("dtype");
  write_checkpoint(model, at::kFloat, folder.path(), folder.path() / "neither");
  model.config["torch_dtype"] = "float16";
  write_checkpoint(model, at::kBFloat16, folder.path(), folder.path() / "old");
  const auto neither = read_json_file((folder.path() / "neither/config.json").string());
  EXPECT_EQ(neither["torch_dtype"], "float32");
  const auto old = read_json_file((folder.path() / "old/config.json").string());
  EXPECT_EQ(old["torch_dtype"], "bfloat16");
  EXPECT_FALSE(old.contains("dtype"));
}

TEST(WriteCheckpoint, ShardsLoadLikeOneFile) {
  const TemporaryFolder folder;
  BaseModel model = llama();
  write_checkpoint(model, at::kFloat, folder.path(), folder.path() / "out", 8000);
  EXPECT_FALSE(fs::exists(folder.path() / "out/model.safetensors"));
  const auto index = read_json_file((folder.path() / "out/model.safetensors.index.json").string());
  std::int64_t total = 0, shards = 0;
  for (const auto& file : fs::directory_iterator(folder.path() / "out")) {
    if (file.path().extension() != ".safetensors") continue;
    ++shards;
    const SafetensorsFile shard(file.path());
    std::uint64_t bytes = 0;
    for (const auto& entry : shard.header().tensors) bytes += entry.end - entry.begin;
    EXPECT_TRUE(bytes <= 8000 || shard.header().tensors.size() == 1) << file.path();
    total += static_cast<std::int64_t>(bytes);
  }
  EXPECT_GT(shards, 3);
  EXPECT_EQ(index["metadata"]["total_size"], total);
  BaseModel back = load_checkpoint(folder.path() / "out", at::kFloat);
  expect_same(model, back);
}

TEST(WriteCheckpoint, CarriesTokenizerFilesAndNothingElse) {
  const TemporaryFolder folder;
  const fs::path source = folder.path() / "source";
  fs::create_directories(source);
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja",
                           "tokenizer.model"}) {
    testing::write_text(source / name, std::string("content of ") + name + '\0' + "\n");
  }
  testing::write_text(source / "model.safetensors", "old weights");
  testing::write_text(source / "optimizer.pt", "not part of a checkpoint");
  BaseModel model = llama();
  write_checkpoint(model, at::kFloat, source, folder.path() / "out");
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja",
                           "tokenizer.model"}) {
    EXPECT_EQ(read_text(folder.path() / "out" / name), read_text(source / name)) << name;
  }
  EXPECT_EQ(entries(folder.path() / "out"), 7u);  // five, weights, config.json
}

TEST(WriteCheckpoint, TiedHeadsAreWrittenOnce) {
  const TemporaryFolder folder;
  BaseModel model = load_checkpoint(golden_path("models/qwen2"), at::kFloat);
  write_checkpoint(model, at::kFloat, folder.path(), folder.path() / "out");
  const SafetensorsFile file(folder.path() / "out/model.safetensors");
  EXPECT_NE(file.find("model.embed_tokens.weight"), nullptr);
  EXPECT_EQ(file.find("lm_head.weight"), nullptr);
}

TEST(WriteCheckpoint, AllOrNothing) {
  const TemporaryFolder folder;
  BaseModel model = llama();
  // The last tensor does not fit its dtype: nothing of the folder may appear.
  model.weights.final_norm_D = at::full({24}, 1e6f);
  EXPECT_TRUE(holds(
      error_of([&] { write_checkpoint(model, at::kHalf, folder.path(), folder.path() / "out"); }, ErrorKind::failed),
      "tensor model.norm.weight holds values beyond the range of F16"));
  EXPECT_EQ(entries(folder.path()), 0u);
  // A folder with something in it is never replaced; an empty one is.
  fs::create_directories(folder.path() / "full" / "x");
  EXPECT_TRUE(holds(
      error_of([&] { write_checkpoint(model, at::kFloat, folder.path(), folder.path() / "full"); }, ErrorKind::failed),
      "full: cannot be renamed: Directory not empty"));
  EXPECT_EQ(entries(folder.path()), 1u);
  fs::create_directories(folder.path() / "empty");
  write_checkpoint(model, at::kFloat, folder.path(), folder.path() / "empty");
  EXPECT_TRUE(fs::exists(folder.path() / "empty/model.safetensors"));
  testing::write_text(folder.path() / "file", "");
  error_of([&] { write_checkpoint(model, at::kFloat, folder.path(), folder.path() / "file" / "out"); },
           ErrorKind::failed);
}

}  // namespace
}  // namespace finetune
