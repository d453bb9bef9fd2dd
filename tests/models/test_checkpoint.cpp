// Whole folders: what loads, and what is refused by name.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "models/checkpoint.h"
#include "models/families/family.h"
#include "models/model_files.h"
#include "models/safetensors.h"
#include "support/goldens.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using testing::error_of;
using testing::golden_path;
using testing::holds;
using testing::TemporaryFolder;
using Named = std::vector<std::pair<std::string, at::Tensor>>;

constexpr const char* kQuery = "model.layers.1.self_attn.q_proj.weight";

Named tensors_of(const fs::path& path) {
  const SafetensorsFile file(path);
  Named tensors;
  for (const auto& entry : file.header().tensors) tensors.emplace_back(entry.name, file.read(entry));
  return tensors;
}

at::Tensor* find(Named& tensors, const std::string& name) {
  for (auto& [other, tensor] : tensors) {
    if (other == name) return &tensor;
  }
  return nullptr;
}

// A copy of a golden checkpoint that a test may spoil.
class Checkpoint : public ::testing::Test {
 protected:
  void take(const std::string& name) {
    config = read_json_file((golden_path("models") / name / "config.json").string());
    tensors = tensors_of(golden_path("models") / name / "model.safetensors");
  }
  void write_config() const { testing::write_text(path() / "config.json", config.dump()); }
  BaseModel load(at::ScalarType dtype = at::kFloat) const {
    write_config();
    write_safetensors(path() / "model.safetensors", tensors);
    return load_checkpoint(path(), dtype);
  }
  void expect_error(const std::string& part) const {
    EXPECT_TRUE(holds(error_of([&] { load(); }), part));
  }
  const fs::path& path() const { return folder.path(); }
  void remove(const std::string& name) {
    std::erase_if(tensors, [&](const auto& pair) { return pair.first == name; });
  }

  TemporaryFolder folder;
  Json config;
  Named tensors;
};

TEST_F(Checkpoint, EveryFamilyLoadsWithEveryTensorInItsPlace) {
  for (const std::string& name : family_names()) {
    take(name);
    BaseModel model = load();
    const auto list = named_tensors(model);
    if (name == "gemma3") continue;  // a half of its file: below
    EXPECT_EQ(list.size(), tensors.size()) << name;
    for (const auto& [tensor_name, tensor] : list) {
      ASSERT_NE(find(tensors, tensor_name), nullptr) << name << " " << tensor_name;
      EXPECT_TRUE(at::equal(tensor, *find(tensors, tensor_name))) << name << " " << tensor_name;
    }
    EXPECT_EQ(model.weights.head_VD.is_same(model.weights.embed_VD), model.options.tied_head) << name;
  }
}

// The text half alone, by either name that files give it, and what is left out is said.
TEST_F(Checkpoint, OfTextsAndImagesTheTextHalfIsRead) {
  take("gemma3");
  const std::string old_root = "language_model.model.", root = "model.language_model.";
  const auto is_of_images = [](const auto& tensor) {
    return tensor.first.starts_with("vision_tower.") || tensor.first.starts_with("multi_modal_projector.");
  };
  const auto of_images = static_cast<std::size_t>(std::ranges::count_if(tensors, is_of_images));
  ASSERT_GT(of_images, 10u);
  std::string in_file = old_root;
  for (const std::string& now : {old_root, root}) {
    for (auto& [name, tensor] : tensors) {
      if (name.starts_with(in_file)) name = now + name.substr(in_file.size());
    }
    in_file = now;
    const BaseModel model = load();
    const auto list = named_tensors(model);
    EXPECT_EQ(list.size() + of_images, tensors.size());
    for (const auto& [name, tensor] : list)
      EXPECT_TRUE(at::equal(tensor, *find(tensors, in_file + name.substr(root.size())))) << name;
    ASSERT_EQ(model.notes.size(), 1u);
    EXPECT_TRUE(holds(model.notes.front(), std::to_string(of_images) + " tensors of images are left out"));
    EXPECT_EQ(model.config["model_type"], "gemma3_text");
  }
  tensors.emplace_back("model.language_model.extra", at::zeros({2}));
  expect_error("tensor model.language_model.extra does not belong to a gemma3 model");
  config.erase("text_config");
  expect_error("key text_config is missing");
}

TEST_F(Checkpoint, DtypesOfFileAndOfComputation) {
  take("llama");
  EXPECT_EQ(load(at::kBFloat16).dtype, at::kBFloat16);
  EXPECT_EQ(load(at::kBFloat16).file_dtype, at::kFloat);
  for (const auto dtype : {at::kBFloat16, at::kHalf}) {
    for (auto& [name, tensor] : tensors) tensor = tensor.to(dtype);
    EXPECT_EQ(load().file_dtype, dtype);
    for (const auto computed : {at::kFloat, at::kBFloat16}) {
      BaseModel model = load(computed);
      EXPECT_EQ(model.dtype, computed);
      for (const auto& [name, tensor] : named_tensors(model))
        EXPECT_TRUE(at::equal(tensor, find(tensors, name)->to(computed))) << name;
    }
  }
}

TEST_F(Checkpoint, ATiedMatrixMayHaveEitherNameOrBoth) {
  take("qwen2");
  ASSERT_EQ(config["tie_word_embeddings"], true);
  const at::Tensor embedding = find(tensors, "model.embed_tokens.weight")->clone();
  tensors.emplace_back("lm_head.weight", embedding.clone());
  EXPECT_TRUE(at::equal(load().weights.head_VD, embedding));
  *find(tensors, "lm_head.weight") = embedding + 1;
  expect_error("tensor lm_head.weight differs from model.embed_tokens.weight");
  *find(tensors, "lm_head.weight") = embedding;
  remove("model.embed_tokens.weight");
  EXPECT_TRUE(at::equal(load().weights.embed_VD, embedding));
  remove("lm_head.weight");
  expect_error("tensor model.embed_tokens.weight is missing");
}

TEST_F(Checkpoint, OldRotaryBuffersAreIgnored) {
  take("llama");
  tensors.emplace_back("model.layers.0.self_attn.rotary_emb.inv_freq", at::zeros({2}));
  EXPECT_NO_THROW(load());
}

TEST_F(Checkpoint, MissingExtraAndMisshapedTensorsAreNamed) {
  take("llama");
  remove(kQuery);
  expect_error(std::string("tensor ") + kQuery + " is missing");
  remove("model.norm.weight");
  expect_error(" and 1 more are missing");
  take("llama");
  remove("lm_head.weight");
  expect_error("tensor lm_head.weight is missing");
  take("llama");
  tensors.emplace_back("model.layers.2.self_attn.q_proj.weight", at::zeros({24, 24}));
  expect_error("tensor model.layers.2.self_attn.q_proj.weight does not belong to a llama model");
  take("llama");
  *find(tensors, kQuery) = at::zeros({24, 25});
  expect_error(std::string("tensor ") + kQuery + " has shape [24, 25]; config.json asks for [24, 24]");
  *find(tensors, kQuery) = at::zeros({24 * 24});
  expect_error("has shape [576]");
  take("llama");
  config["vocab_size"] = 62;
  expect_error("tensor model.embed_tokens.weight has shape [61, 24]; config.json asks for [62, 24]");
  take("llama");
  config["attention_bias"] = false;
  expect_error("_proj.bias does not belong");
}

TEST_F(Checkpoint, WeightsThatAreNotFiniteAreRefused) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    for (const auto dtype : {at::kFloat, at::kHalf, at::kBFloat16}) {
      take("llama");
      *find(tensors, kQuery) = find(tensors, kQuery)->to(dtype);
      (*find(tensors, kQuery))[3][5] = bad;
      expect_error(std::string("tensor ") + kQuery + " holds NaN or infinite values");
    }
  }
}

TEST_F(Checkpoint, FoldersWithoutUsableFiles) {
  take("llama");
  EXPECT_TRUE(holds(error_of([&] { load_checkpoint(path(), at::kFloat); }), "config.json: cannot be opened"));
  write_config();
  EXPECT_TRUE(holds(error_of([&] { load_checkpoint(path(), at::kFloat); }), "has neither model.safetensors nor"));
  testing::write_text(path() / "pytorch_model.bin", "PK");
  EXPECT_TRUE(holds(error_of([&] { load_checkpoint(path(), at::kFloat); }), "convert it: python"));
  for (const char* text : {"", "[]", "{", "{} {}", R"({"model_type":"llama","model_type":"llama"})", "nul"}) {
    testing::write_text(path() / "config.json", text);
    error_of([&] { load_checkpoint(path(), at::kFloat); });
  }
}

class Sharded : public Checkpoint {
 protected:
  void SetUp() override {
    take("llama");
    write_config();
    const auto middle = tensors.begin() + 10;
    write_safetensors(path() / "a.safetensors", Named(tensors.begin(), middle));
    write_safetensors(path() / "b.safetensors", Named(middle, tensors.end()));
    for (auto it = tensors.begin(); it != tensors.end(); ++it) {
      index["weight_map"][it->first] = it < middle ? "a.safetensors" : "b.safetensors";
    }
  }
  BaseModel load_index() const {
    testing::write_text(path() / "model.safetensors.index.json", index.dump());
    return load_checkpoint(path(), at::kFloat);
  }
  void expect_index_error(const std::string& part) const {
    EXPECT_TRUE(holds(error_of([&] { load_index(); }), part));
  }
  Json index;
};

TEST_F(Sharded, LoadsLikeASingleFile) {
  index["metadata"]["total_size"] = 12.5;  // only a hint, and odd in the wild
  BaseModel model = load_index();
  for (const auto& [name, tensor] : named_tensors(model)) EXPECT_TRUE(at::equal(tensor, *find(tensors, name))) << name;
}

TEST_F(Sharded, IndexesMayNotPointElsewhere) {
  for (const char* name :
       {"../a.safetensors", "/etc/passwd", "..", "x/../a.safetensors", "a\\b", "", "./a.safetensors"}) {
    index["weight_map"][kQuery] = name;
    expect_index_error("is not a plain file name");
  }
  index["weight_map"][kQuery] = 3;
  expect_index_error("is not a plain file name");
  index["weight_map"][kQuery] = ".";
  expect_index_error("not a regular file");
}

TEST_F(Sharded, IndexAndShardsMustAgree) {
  index["weight_map"][kQuery] = "c.safetensors";
  expect_index_error("c.safetensors: cannot be opened");
  index["weight_map"].erase(kQuery);
  index["weight_map"]["other"] = "a.safetensors";
  expect_index_error("tensor other is missing though the index names this file");
  index["weight_map"].erase("other");
  index["weight_map"][tensors[0].first] = "b.safetensors";
  expect_index_error("tensor " + tensors[0].first + " is missing though the index names this file");
  write_safetensors(path() / "b.safetensors", tensors);
  expect_index_error("is in another shard too");
  for (const Json& bad :
       {Json::array(), Json::object(), Json{{"weight_map", Json::array()}}, Json{{"weight_map", Json::object()}}}) {
    index = bad;
    expect_index_error("has no weight_map");
  }
}

TEST(RealCheckpoint, HeadStoredForATiedEmbedding) {
  const fs::path folder = fs::path(testing::source_dir()) / ".." / "shared" / "samples" / "models" / "tinystories-656k";
  if (!fs::exists(folder.parent_path())) GTEST_SKIP() << "no ../shared beside the sources";
  const BaseModel model = load_checkpoint(folder, at::kFloat);
  EXPECT_TRUE(model.options.tied_head);
  EXPECT_EQ(model.weights.embed_VD.sizes(), (std::vector<std::int64_t>{2048, 128}));
  EXPECT_TRUE(model.weights.head_VD.is_same(model.weights.embed_VD));
}

}  // namespace
}  // namespace finetune
