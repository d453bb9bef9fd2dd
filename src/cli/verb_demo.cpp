#include <filesystem>
#include <iostream>

#include "cli/demo_data.h"
#include "cli/flags.h"
#include "cli/prepare.h"
#include "cli/verbs.h"
#include "host/run_paths.h"

namespace finetune {
namespace {

// Three runs of the ordinary verbs on material of its own: pretrain a tiny base, then tune LoRA on a second task.
int run_demo(const Arguments& arguments) {
  const RunConfig config = prepare_config(arguments);
  check_paths(config, true, arguments.overwrite());
  const std::filesystem::path out = config.run.out;
  make_out(config.run.out, arguments.overwrite());
  std::cerr << "demo: writing a corpus, a tokenizer and an untrained model to " << out.string() << "\n";
  make_demo_material(out);

  const auto path = [&](const char* name) { return (out / name).string(); };
  Arguments pretrain;
  pretrain.sources.lists = {{"data.train", {path("corpus.txt")}}};
  pretrain.sources.settings = {
      {"model.path", path("base")}, {"run.out", path("pretrained")}, {"train.method", "full"},
      {"train.steps", "160"},       {"train.batch_size", "32"},      {"train.learning_rate", "4e-3"},
      {"train.schedule", "cosine"}, {"data.max_length", "64"},       {"data.valid_fraction", "0.02"}};
  std::cerr << "demo: training the base on the corpus (all weights)\n";
  if (const int code = run_verb("train", pretrain); code != 0) return code;

  Arguments tune;
  tune.options = {{"--json", arguments.option("--json")}};
  tune.sources.lists = {{"data.train", {path("task_train.jsonl")}}, {"data.valid", {path("task_valid.jsonl")}}};
  tune.sources.settings = {{"model.path", path("pretrained/model")},
                           {"run.out", path("study")},
                           {"train.steps", "200"},
                           {"train.batch_size", "16"},
                           {"tune.trials", "16"},
                           {"search.train.learning_rate", "{low: 1e-4, high: 3e-2, log: true}"},
                           {"search.train.lora.rank", "{choices: [4, 8, 16]}"},
                           {"train.lora.alpha_over_rank", "2"},
                           {"data.max_length", "64"}};
  std::cerr << "demo: tuning LoRA on a second task: names in a secret language\n";
  return run_verb("tune", tune);
}

}  // namespace

Verb demo_verb() {
  return {.name = "demo",
          .help = "make a small model and data, tune on them, print the report",
          .example = "finetune_tune demo --out runs/demo",
          .flags = out_flags(),
          .required = {"run.out"},
          .run = run_demo};
}

}  // namespace finetune
