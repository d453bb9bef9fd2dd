#include "cli/demo_data.h"

#include <ATen/ATen.h>
#include <sentencepiece_trainer.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "core/folders.h"
#include "core/random.h"
#include "models/checkpoint.h"
#include "models/families/family.h"
#include "models/safetensors.h"

namespace finetune {
namespace {

using Words = std::vector<std::string>;
const Words kColours{"red", "blue", "green", "white", "black", "brown", "grey", "golden"};
const Words kSizes{"small", "big", "tiny", "tall", "old", "young"};
const Words kAnimals{"fox", "bird", "cat", "dog", "horse", "mouse", "owl", "frog", "bear", "duck"};
const Words kVerbs{"sees", "follows", "likes", "hears", "finds", "greets"};
const Words kPlaces{"in the garden", "near the river",   "on the hill",
                    "under a tree",  "by the old house", "at the lake"};

const std::string& pick(const Words& words, Random& random) {
  return words[random.below(words.size())];
}

std::string sentence(Random& random) {
  return "The " + pick(kSizes, random) + " " + pick(kColours, random) + " " + pick(kAnimals, random) + " " +
         pick(kVerbs, random) + " the " + pick(kColours, random) + " " + pick(kAnimals, random) + " " +
         pick(kPlaces, random) + ".";
}

// The second task: a secret language of two-word names. Nothing in the corpus knows it.
nlohmann::ordered_json name_pair(Random& random) {
  const Words first{"ba", "ko", "mi", "tu", "re", "sa", "lo", "ni"},
      second{"zan", "pel", "dor", "fim", "gus", "hab", "jil", "vek", "wex", "yor"};
  const auto colour = static_cast<std::size_t>(random.below(kColours.size())),
             animal = static_cast<std::size_t>(random.below(kAnimals.size()));
  return {{"prompt", "The " + pick(kSizes, random) + " " + kColours[colour] + " " + kAnimals[animal] + " ="},
          {"completion", " " + first[colour] + " " + second[animal]}};
}

std::string task_lines(int count, std::uint64_t stream) {
  Random random(20, Purpose::test, stream);
  std::string lines;
  for (int i = 0; i < count; ++i) lines += name_pair(random).dump() + "\n";
  return lines;
}

// sentencepiece asks for its sentences one by one.
class Sentences : public sentencepiece::SentenceIterator {
 public:
  explicit Sentences(const std::vector<std::string>& list) : list_(list) {}
  bool done() const override { return next_ >= list_.size(); }
  void Next() override { ++next_; }
  const std::string& value() const override { return list_[next_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& list_;
  std::size_t next_ = 0;
};

void train_tokenizer(const std::vector<std::string>& sentences, const std::filesystem::path& folder) {
  std::string model;
  Sentences iterator(sentences);
  const auto status = sentencepiece::SentencePieceTrainer::Train(
      "--vocab_size=380 --model_type=bpe --byte_fallback=true --hard_vocab_limit=false --character_coverage=1.0 "
      "--minloglevel=2 --num_threads=1",
      &iterator, &model);
  if (!status.ok())
    throw failed(folder.string(), std::string("the demo's tokenizer could not be trained: ") + status.message());
  write_file_atomically(folder / "tokenizer.model", model);
  write_file_atomically(
      folder / "tokenizer_config.json",
      R"({"add_bos_token": true, "add_eos_token": false, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})");
}

nlohmann::ordered_json demo_config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", 384},
          {"hidden_size", 96},
          {"intermediate_size", 256},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 6},
          {"num_key_value_heads", 3},
          {"max_position_embeddings", 128},
          {"rms_norm_eps", 1e-6},
          {"rope_theta", 10000.0},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", true},
          {"torch_dtype", "float32"},
          {"bos_token_id", 1},
          {"eos_token_id", 2}};
}

// Normal weights of standard deviation 0.02, norms 1: transformers' initialisation.
void write_random_weights(const nlohmann::ordered_json& config, const std::filesystem::path& folder) {
  BaseModel model;
  model.options = decoder_options("config.json", config);
  model.weights.blocks.resize(static_cast<std::size_t>(model.options.layers));
  std::uint64_t stream = 0;  // one a tensor of the file
  for_each_tensor(model.options, model.weights, [&](const TensorRows& rows, at::Tensor& tensor) {
    tensor = at::ones(rows.shape(), at::kFloat);
    if (rows.columns == 0) return;
    float* values = tensor.data_ptr<float>();
    for (const auto& part : rows.parts) {
      Random numbers(21, Purpose::init, stream++);
      for (std::int64_t i = 0; i < part.rows * rows.columns; ++i)
        *values++ = static_cast<float>(0.02 * numbers.normal());
    }
  });
  write_safetensors(folder / "model.safetensors", named_tensors(model));
}

}  // namespace

void make_demo_material(const std::filesystem::path& folder) {
  const auto base = folder / "base";
  make_folders(base);
  Random random(20, Purpose::test, 0);
  std::vector<std::string> sentences;
  std::string corpus;
  for (int i = 0; i < 4000; ++i) {
    sentences.push_back(sentence(random));
    corpus += sentences.back() + "\n";
  }
  sentences.push_back("= ba ko mi tu re sa lo ni zan pel dor fim gus hab jil vek wex yor");
  write_file_atomically(folder / "corpus.txt", corpus);
  write_file_atomically(folder / "task_train.jsonl", task_lines(1500, 1));
  write_file_atomically(folder / "task_valid.jsonl", task_lines(150, 2));
  train_tokenizer(sentences, base);
  const auto config = demo_config();
  write_file_atomically(base / "config.json", config.dump(2) + "\n");
  write_random_weights(config, base);
}

}  // namespace finetune
