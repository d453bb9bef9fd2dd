// Adapters: what PEFT wrote is read, what we write reads back, and what the engine cannot hold is refused by name.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "models/checkpoint.h"
#include "models/model_files.h"
#include "models/peft.h"
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

constexpr const char* kA = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
constexpr const char* kB = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";

DecoderOptions llama() {
  return load_checkpoint(golden_path("models/llama"), at::kFloat).options;
}

TEST(Peft, AdaptersThatPeftWroteAreRead) {
  struct Case {
    const char* name;
    std::int64_t rank;
    double alpha, dropout;
    bool rslora;
    ProjectionSet targets;
  };
  const Case cases[] = {{"plain", 3, 7, 0.1, false, {Projection::q, Projection::down}},
                        {"rslora", 4, 8, 0, true, ProjectionSet::all()},
                        {"pattern", 2, 3, 0, false, {Projection::k, Projection::v, Projection::gate}}};
  for (const auto& c : cases) {
    const PeftAdapter adapter = load_peft_adapter(golden_path("adapters") / c.name, llama());
    EXPECT_EQ(adapter.spec.rank, c.rank) << c.name;
    EXPECT_EQ(adapter.spec.alpha, c.alpha) << c.name;
    EXPECT_EQ(adapter.spec.dropout, c.dropout) << c.name;
    EXPECT_EQ(adapter.spec.rslora, c.rslora) << c.name;
    EXPECT_EQ(adapter.spec.targets, c.targets) << c.name;
    const SafetensorsFile file(golden_path("adapters") / c.name / "adapter_model.safetensors");
    std::size_t defined = 0;
    for (std::int64_t layer = 0; layer < 2; ++layer) {
      for (const Projection p : kAllProjections) defined += 2 * adapter.tensors.at(layer, p).a_RD.defined();
    }
    EXPECT_EQ(defined, file.header().tensors.size()) << c.name;
  }
}

TEST(Peft, WhatIsWrittenReadsBackAndHasTheSameTensors) {
  const DecoderOptions model = llama();
  for (const char* name : {"plain", "rslora", "pattern"}) {
    const TemporaryFolder folder;
    const PeftAdapter adapter = load_peft_adapter(golden_path("adapters") / name, model);
    save_peft_adapter(folder.path() / "new" / "folder", model, adapter, "models/llama");
    const PeftAdapter back = load_peft_adapter(folder.path() / "new" / "folder", model);
    EXPECT_EQ(back.spec.rank, adapter.spec.rank);
    EXPECT_EQ(back.spec.alpha, adapter.spec.alpha);
    EXPECT_EQ(back.spec.dropout, adapter.spec.dropout);
    EXPECT_EQ(back.spec.rslora, adapter.spec.rslora);
    EXPECT_EQ(back.spec.targets, adapter.spec.targets);
    // PEFT's own writer and ours agree byte for byte on the tensor file.
    EXPECT_EQ(testing::read_text(folder.path() / "new/folder/adapter_model.safetensors"),
              testing::read_text(golden_path("adapters") / name / "adapter_model.safetensors"));
  }
}

TEST(Peft, FractionalAlphaSurvives) {
  const TemporaryFolder folder;
  PeftAdapter adapter = load_peft_adapter(golden_path("adapters/plain"), llama());
  for (const double alpha : {0.1, 16.0, 1e-12, 3e20}) {
    adapter.spec.alpha = alpha;
    save_peft_adapter(folder.path(), llama(), adapter, "");
    EXPECT_EQ(load_peft_adapter(folder.path(), llama()).spec.alpha, alpha);
  }
}

// A copy of an adapter that PEFT wrote, to spoil.
class BadAdapter : public ::testing::Test {
 protected:
  void SetUp() override {
    const fs::path source = golden_path("adapters/plain");
    config = read_json_file((source / "adapter_config.json").string());
    const SafetensorsFile file(source / "adapter_model.safetensors");
    for (const auto& entry : file.header().tensors) tensors.emplace_back(entry.name, file.read(entry));
  }
  at::Tensor& tensor(const std::string& name) {
    for (auto& [other, value] : tensors) {
      if (other == name) return value;
    }
    throw failed(name, "not in the golden");
  }
  PeftAdapter load() const {
    testing::write_text(folder.path() / "adapter_config.json", config.dump());
    write_safetensors(folder.path() / "adapter_model.safetensors", tensors);
    return load_peft_adapter(folder.path(), llama());
  }
  void expect_error(const std::string& part) const {
    EXPECT_TRUE(holds(error_of([&] { load(); }), part));
  }
  TemporaryFolder folder;
  Json config;
  Named tensors;
};

// The first pattern that matches holds, for ranks and for alphas; what matches nothing is said.
TEST_F(BadAdapter, RanksAndAlphasByModule) {
  config["rank_pattern"] = {{"layers.1.self_attn.q_proj", 5}, {"q_proj", config["r"]}, {"k_proj", 9}};
  config["alpha_pattern"] = {{"q_proj", 2}, {".*self_attn.*", 100}};
  config["use_rslora"] = true;
  const std::string wide = "base_model.model.model.layers.1.self_attn.q_proj.lora_";
  tensor(wide + "A.weight") = at::randn({5, tensor(wide + "A.weight").size(1)});
  tensor(wide + "B.weight") = at::randn({tensor(wide + "B.weight").size(0), 5});
  const PeftAdapter read = load();
  const ModuleRanks ranks = module_ranks("", read.spec, llama());
  EXPECT_EQ(ranks[0][Projection::q], (ModuleRank{3, 2 / std::sqrt(3.0)}));
  EXPECT_EQ(ranks[1][Projection::q], (ModuleRank{5, 2 / std::sqrt(5.0)}));
  EXPECT_EQ(ranks[1][Projection::down], (ModuleRank{3, read.spec.alpha / std::sqrt(3.0)}));
  EXPECT_EQ(read.tensors.at(1, Projection::q).a_RD.size(0), 5);
  EXPECT_EQ(
      adapter_notes("f", read),
      (std::vector<std::string>{"f: no module has rank_pattern k_proj, alpha_pattern .*self_attn.*: passed over"}));
  const TemporaryFolder again;
  save_peft_adapter(again.path(), llama(), read, "");
  EXPECT_EQ(load_peft_adapter(again.path(), llama()).spec.patterns, read.spec.patterns);
}

TEST_F(BadAdapter, WholeModulesAreReadAndChecked) {
  const std::string head = "base_model.model.lm_head.weight";
  config["modules_to_save"] = {"lm_head"};
  expect_error("tensor " + head + " is missing");
  tensors.emplace_back(head, at::randn({61, 23}));
  expect_error("tensor " + head + " has the wrong shape: the model and r ask for [61, 24]");
  tensor(head) = at::randn({61, 24});
  EXPECT_TRUE(at::equal(load().tensors.head_VD, tensor(head)));
  config["modules_to_save"] = {"lm_head", "embed_tokens"};
  expect_error("tensor base_model.model.model.embed_tokens.weight is missing");
  config["modules_to_save"] = nullptr;
  expect_error("tensor " + head + " does not belong to a LoRA adapter");
}

TEST_F(BadAdapter, SettingsThatChangeItsMeaningAreRefused) {
  const Json good = config;
  struct Case {
    const char* key;
    Json value;
    const char* message;
  };
  const Case cases[] = {{"peft_type", "LOHA", "must be LORA, found LOHA"},
                        {"peft_type", nullptr, "must be LORA, found nothing"},
                        {"bias", "all", "key bias must be none"},
                        {"lora_bias", true, "key lora_bias is set"},
                        {"modules_to_save", {"lm_heads"}, "key modules_to_save names lm_heads"},
                        {"modules_to_save", {"score"}, "key modules_to_save names score"},
                        {"modules_to_save", "lm_head", "key modules_to_save must be a list of names"},
                        {"rank_pattern", {{"q_proj", 4}}, "the model and r ask for [4, 24]"},
                        {"rank_pattern", {{"q_proj", 0}}, "key q_proj is 0"},
                        {"rank_pattern", {{"q_(", 4}}, "key rank_pattern is not a valid pattern"},
                        {"rank_pattern", 4, "key rank_pattern must be an object"},
                        {"alpha_pattern", {{"q_proj", "4"}}, "key q_proj must be a number"},
                        {"layers_to_transform", {0}, "key layers_to_transform is set"},
                        {"layers_to_transform", 0, "key layers_to_transform is set"},
                        {"layer_replication", {{0, 1}}, "key layer_replication is set"},
                        {"exclude_modules", {"q_proj"}, "key exclude_modules is set"},
                        {"target_parameters", {"x"}, "key target_parameters is set"},
                        {"fan_in_fan_out", true, "key fan_in_fan_out is set"},
                        {"trainable_token_indices", {1}, "key trainable_token_indices is set"},
                        {"alora_invocation_tokens", {1}, "key alora_invocation_tokens is set"},
                        {"init_lora_weights", "pissa", "which changes the base"},
                        {"init_lora_weights", "pissa_niter_4", "which changes the base"},
                        {"init_lora_weights", "olora", "which changes the base"},
                        {"init_lora_weights", "loftq", "which changes the base"},
                        {"r", 0, "key r is 0"},
                        {"r", -3, "key r is -3"},
                        {"r", "3", "key r must be a whole number"},
                        {"r", 1'000'000, "key r is 1000000"},
                        {"r", 4, "lora_A.weight has the wrong shape: the model and r ask for [4, 24]"},
                        {"lora_alpha", "7", "key lora_alpha must be a number"},
                        {"lora_dropout", 1.0, "key lora_dropout must be in [0, 1)"},
                        {"use_rslora", 1, "key use_rslora must be true or false"},
                        {"target_modules", {"q_proj"}, "does not belong to a LoRA adapter"},
                        {"target_modules", {"q_proj", "down_proj", "k_proj"}, "k_proj.lora_A.weight is missing"},
                        {"target_modules", {"q_proj", "lm_head"}, "key target_modules names lm_head"},
                        {"target_modules", {"c_attn"}, "matches nothing in the model"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.key) + " " + c.value.dump());
    config = good;
    config[c.key] = c.value;
    expect_error(c.message);
  }
}

TEST_F(BadAdapter, HarmlessSettingsAreAccepted) {
  config["init_lora_weights"] = "gaussian";
  config["lora_bias"] = false;
  config["modules_to_save"] = Json::array();
  config["a_key_of_the_future"] = 3;
  config.erase("target_modules");  // the tensors tell
  EXPECT_EQ(load().spec.targets, (ProjectionSet{Projection::q, Projection::down}));
  config.erase("r");
  config.erase("lora_alpha");
  for (auto& [name, tensor] : tensors) {
    const bool a = name.find("lora_A") != std::string::npos;
    tensor = a ? at::ones({8, tensor.size(1)}) : at::ones({tensor.size(0), 8});
  }
  EXPECT_EQ(load().spec.alpha, 8) << "PEFT's default where the file says nothing";
}

TEST_F(BadAdapter, HalfPrecisionIsReadAsFloat) {
  const at::Tensor before = tensor(kA).clone();
  for (const auto dtype : {at::kBFloat16, at::kHalf}) {
    for (auto& [name, value] : tensors) value = value.to(dtype);
    const at::Tensor a = load().tensors.at(0, Projection::q).a_RD;
    EXPECT_EQ(a.scalar_type(), at::kFloat);
    EXPECT_TRUE(at::equal(a, tensor(kA).to(at::kFloat)));
  }
}

TEST_F(BadAdapter, TensorsAreChecked) {
  const Named good = tensors;
  tensor(kB) = at::zeros({24, 4});
  expect_error(std::string("tensor ") + kB + " has the wrong shape: the model and r ask for [24, 3]");
  tensors = good;
  tensor(kA) = at::zeros({3, 24, 1});
  expect_error(std::string("tensor ") + kA + " has the wrong shape");
  tensors = good;
  tensor(kA) = tensor(kA) * std::nan("");
  expect_error(std::string("tensor ") + kA + " holds NaN or infinite values");
  tensors = good;
  std::erase_if(tensors, [](const auto& pair) { return pair.first == kB; });
  expect_error(std::string("tensor ") + kB + " is missing");
  tensors = good;
  tensors.emplace_back("base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight", at::zeros({3, 24}));
  expect_error("layers.7.self_attn.q_proj.lora_A.weight does not belong");
  tensors = good;
  tensors.emplace_back("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", at::zeros({24}));
  expect_error("lora_magnitude_vector does not belong");
  tensors.clear();
  expect_error("is missing");
}

TEST_F(BadAdapter, FilesAreChecked) {
  EXPECT_TRUE(
      holds(error_of([&] { load_peft_adapter(folder.path(), llama()); }), "adapter_config.json: cannot be opened"));
  testing::write_text(folder.path() / "adapter_config.json", config.dump());
  EXPECT_TRUE(holds(error_of([&] { load_peft_adapter(folder.path(), llama()); }),
                    "adapter_model.safetensors: cannot be opened"));
  testing::write_text(folder.path() / "adapter_model.bin", "PK");
  EXPECT_TRUE(holds(error_of([&] { load_peft_adapter(folder.path(), llama()); }), "is a pickle"));
  for (const char* text : {"", "[]", "{\"r\":1,\"r\":2}", "{}x"}) {
    testing::write_text(folder.path() / "adapter_config.json", text);
    error_of([&] { load_peft_adapter(folder.path(), llama()); });
  }
}

}  // namespace
}  // namespace finetune
