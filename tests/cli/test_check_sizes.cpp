// `check` of a config.json without weights: memory by arithmetic, the same as with the weights there.
#include <set>

#include "cli/program.h"
#include "models/families/family.h"

namespace finetune::testing {
namespace {

nlohmann::json checked(const std::string& arguments) {
  const Outcome check = run("check --json " + arguments + " 2>/dev/null");
  EXPECT_EQ(check.code, 0) << check.text;
  return check.code == 0 ? nlohmann::json::parse(check.text) : nlohmann::json::object();
}

// What is common to the published configurations; `more` replaces and adds.
std::string config_of(const std::string& family, const nlohmann::json& more) {
  nlohmann::json config{{"model_type", family},
                        {"rms_norm_eps", 1e-5},
                        {"rope_theta", 500000.0},
                        {"hidden_act", "silu"},
                        {"max_position_embeddings", 8192},
                        {"tie_word_embeddings", false},
                        {"torch_dtype", "bfloat16"}};
  config.update(more);
  return config.dump();
}

nlohmann::json sizes(int vocabulary, int width, int mlp_width, int layers, int heads, int kv_heads) {
  return {{"vocab_size", vocabulary},    {"hidden_size", width},         {"intermediate_size", mlp_width},
          {"num_hidden_layers", layers}, {"num_attention_heads", heads}, {"num_key_value_heads", kv_heads}};
}

nlohmann::json with(nlohmann::json sizes, const nlohmann::json& more) {
  sizes.update(more);
  return sizes;
}

struct Shape {
  std::string family;
  nlohmann::json config;
  std::int64_t parameters;  // of transformers' model on the meta device
};

std::vector<Shape> published_shapes() {
  const nlohmann::json gemma{
      {"hidden_act", "gelu_pytorch_tanh"}, {"hidden_activation", "gelu_pytorch_tanh"}, {"tie_word_embeddings", true}};
  nlohmann::json text_half = with(with(sizes(262208, 2560, 10240, 34, 8, 4), gemma),
                                  {{"head_dim", 256}, {"query_pre_attn_scalar", 256}, {"sliding_window", 1024}});
  text_half = nlohmann::json::parse(config_of("gemma3_text", text_half));
  return {
      {"llama", sizes(128256, 8192, 28672, 80, 64, 8), 70553706496},
      {"qwen2", with(sizes(152064, 5120, 27648, 64, 40, 8), {{"use_sliding_window", false}}), 32763876352},
      {"qwen3", with(sizes(151936, 4096, 12288, 36, 32, 8), {{"head_dim", 128}}), 8190735360},
      {"mistral", with(sizes(32768, 4096, 14336, 32, 32, 8), {{"sliding_window", nullptr}}), 7248023552},
      {"gemma", with(with(sizes(256000, 3072, 24576, 28, 16, 16), gemma), {{"head_dim", 256}}), 8537680896},
      {"gemma2",
       with(with(sizes(256000, 4608, 36864, 46, 32, 16), gemma),
            {{"head_dim", 128}, {"query_pre_attn_scalar", 144}, {"sliding_window", 4096}}),
       27227128320},
      {"gemma3_text",
       with(with(sizes(262144, 1152, 6912, 26, 4, 1), gemma),
            {{"head_dim", 256}, {"query_pre_attn_scalar", 256}, {"sliding_window", 512}}),
       999885952},
      {"gemma3", {{"text_config", text_half}}, 3880263168},
      {"phi3", sizes(32064, 3072, 8192, 32, 32, 32), 3821079552},
      {"olmo2", sizes(100352, 4096, 11008, 32, 32, 32), 7298617344},
      {"smollm3", with(sizes(128256, 2048, 11008, 36, 16, 4), {{"tie_word_embeddings", true}}), 3075098624},
      {"granite",
       with(sizes(49152, 4096, 12800, 40, 32, 8), {{"embedding_multiplier", 12.0}, {"logits_scaling", 16.0}}),
       8372162560},
  };
}

TEST(CheckSizes, CountsTheParametersOfPublishedShapes) {
  const Fixture fixture;
  fs::create_directories(fixture.path("sizes"));
  std::set<std::string> counted;
  for (const Shape& shape : published_shapes()) {
    counted.insert(shape.family);
    fixture.write("sizes/config.json", config_of(shape.family, shape.config));
    const nlohmann::json check = checked("--model '" + fixture.path("sizes") + "'");
    EXPECT_EQ(check.value("parameters", std::int64_t{0}), shape.parameters) << shape.family;
  }
  for (const std::string& name : family_names()) EXPECT_TRUE(counted.contains(name)) << name << " has no shape here";
}

TEST(CheckSizes, OfTextsAndImagesTheTextHalf) {
  const Fixture fixture;
  fs::create_directories(fixture.path("sizes"));
  for (const Shape& shape : published_shapes()) {
    if (!shape.config.contains("text_config")) continue;
    fixture.write("sizes/config.json", config_of(shape.family, shape.config));
    const Outcome check = run("check --model '" + fixture.path("sizes") + "'");
    EXPECT_NE(check.text.find("the model is the text half of the checkpoint"), std::string::npos) << check.text;
  }
}

// All that follows from sizes; the program's own bytes are measured.
TEST(CheckSizes, NeedsAsMuchAsWithTheWeights) {
  const Fixture fixture;
  const std::string whole = fixture.path("model"), sizes = fixture.path("sizes");
  fs::copy(whole, sizes);
  fs::remove(fs::path(sizes) / "model.safetensors");
  for (const std::string how :
       {"", " --set model.quantize=nf4", " --set train.method=full", " --set train.lora.dora=true",
        " --set train.lora.init=pissa --set train.lora.rank=4"}) {
    const std::string data = " --trials 3 --set run.lanes=1 --train '" + fixture.path("train.jsonl") + "'" + how;
    nlohmann::json with = checked("--model '" + whole + "'" + data).at("memory"),
                   without = checked("--model '" + sizes + "'" + data).at("memory");
    ASSERT_EQ(with.size(), 1);
    with[0].erase("program");
    without[0].erase("program");
    EXPECT_GT(with[0].at("trials"), 0);
    EXPECT_EQ(with, without) << how;
  }
}

TEST(CheckSizes, WithoutDataSaysWhatFits) {
  const Fixture fixture;
  const nlohmann::json fits = checked("--model '" + fixture.path("model") + "'").at("fits");
  ASSERT_EQ(fits.size(), 5);
  const auto bytes = [&](std::size_t i) { return fits[i].at("base_bytes").get<std::int64_t>(); };
  EXPECT_LT(bytes(1), bytes(0)) << "bfloat16 and float32";
  EXPECT_LT(bytes(2), bytes(3)) << "nf4 and int8";
  EXPECT_LT(bytes(3), bytes(0));
  for (const auto& fit : fits) {
    EXPECT_TRUE(fit.at("trains").get<bool>()) << fit;
    EXPECT_GT(fit.at("train_bytes"), fit.at("base_bytes"));
  }
}

// 876 billion weights fit into no memory that this is tested in, whatever it is kept as.
TEST(CheckSizes, WhatDoesNotFitIsSaid) {
  const Fixture fixture;
  fs::create_directories(fixture.path("sizes"));
  const Shape large = published_shapes().front();
  fixture.write("sizes/config.json", config_of(large.family, with(large.config, {{"num_hidden_layers", 1024}})));
  const Outcome check = run("check --model '" + fixture.path("sizes") + "'");
  EXPECT_EQ(check.code, 0) << check.text;
  EXPECT_NE(check.text.find("does not fit"), std::string::npos) << check.text;
  EXPECT_EQ(check.text.find("side by side\n"), std::string::npos) << check.text;
}

// A file of tensors of the right names and shapes that nobody wrote: its bytes take no place.
void write_hollow_weights(const fs::path& file, const nlohmann::json& config) {
  const auto size = [&](const char* name) { return config.at(name).get<std::int64_t>(); };
  const std::int64_t width = size("hidden_size"), mlp = size("intermediate_size");
  const std::int64_t keys = width / size("num_attention_heads") * size("num_key_value_heads");
  nlohmann::json header;
  std::int64_t end = 0;
  const auto add = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    const std::int64_t begin = end;
    end += 2 * shape.front() * (shape.size() > 1 ? shape.back() : 1);
    header[name] = {{"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {begin, end}}};
  };
  add("model.embed_tokens.weight", {size("vocab_size"), width});
  add("lm_head.weight", {size("vocab_size"), width});
  add("model.norm.weight", {width});
  for (std::int64_t layer = 0; layer < size("num_hidden_layers"); ++layer) {
    const std::string block = "model.layers." + std::to_string(layer) + ".";
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) add(block + norm + ".weight", {width});
    for (const char* one : {"q", "o"}) add(block + "self_attn." + one + "_proj.weight", {width, width});
    for (const char* one : {"k", "v"}) add(block + "self_attn." + one + "_proj.weight", {keys, width});
    for (const char* one : {"gate", "up"}) add(block + "mlp." + one + "_proj.weight", {mlp, width});
    add(block + "mlp.down_proj.weight", {width, mlp});
  }
  const std::string text = header.dump();
  const std::uint64_t length = text.size();
  write_file_atomically(file, std::string(reinterpret_cast<const char*>(&length), sizeof length) + text);
  fs::resize_file(file, sizeof length + length + static_cast<std::uint64_t>(end));
}

// The same with its weights, which nobody waits for: every verb that would read them says so, and writes nothing.
TEST(CheckSizes, WhatCannotFitIsSaidBeforeAWeightIsRead) {
  const Fixture fixture;
  const Shape large = published_shapes().front();
  const nlohmann::json config =
      nlohmann::json::parse(config_of(large.family, with(large.config, {{"num_hidden_layers", 1024}})));
  fixture.write("model/config.json", config.dump());
  write_hollow_weights(fixture.path("model/model.safetensors"), config);
  const std::string model = " --model '" + fixture.path("model") + "'", file = " '" + fixture.path("train.jsonl") + "'";
  const std::string training = model + " --train" + file, out = " --out '" + fixture.path("out") + "'";
  for (const std::string& verb : {"tune" + training + out, "train" + training + out, "check" + training,
                                  "compare" + training + out, "train" + training + out + " --set train.method=full",
                                  "eval" + model + " --data" + file, "generate" + model + " --prompt a"}) {
    const Outcome refused = run(verb);
    EXPECT_EQ(refused.code, 2) << verb << refused.text;
    EXPECT_NE(refused.text.find(" GB of cpu, which has "), std::string::npos) << verb << refused.text;
    EXPECT_NE(refused.text.find("would"), std::string::npos) << verb << refused.text;
    EXPECT_FALSE(fs::exists(fixture.path("out"))) << verb;
  }
}

TEST(CheckSizes, SaysWhatItCouldNotCheck) {
  const Fixture fixture;
  fs::create_directories(fixture.path("sizes"));
  fs::copy(fs::path(fixture.path("model")) / "config.json", fs::path(fixture.path("sizes")) / "config.json");
  const std::string common =
      " --model '" + fixture.path("sizes") + "' --train '" + fixture.path("train.jsonl") + "' --trials 2";
  const Outcome check = run("check" + common);
  EXPECT_EQ(check.code, 0) << check.text;
  for (const char* line : {"has no weights", "has no tokenizer", "not known without weights", "LoRA over nf4"})
    EXPECT_NE(check.text.find(line), std::string::npos) << line << "\n" << check.text;
  EXPECT_NE(
      run("check --model '" + fixture.path("sizes") + "' --set train.epochs=3").text.find("train.epochs tells no"),
      std::string::npos);
  EXPECT_EQ(run("tune" + common + " --out '" + fixture.path("out") + "'").code, 2);
  EXPECT_FALSE(fs::exists(fixture.path("out")));
}

}  // namespace
}  // namespace finetune::testing
