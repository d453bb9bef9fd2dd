#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "cli/prepare.h"
#include "core/error.h"
#include "engine/evaluate.h"
#include "engine/open_model.h"
#include "host/run_paths.h"
#include "models/export.h"

namespace finetune {
namespace {

// A fixed text of ids: the same tokens through adapter-on-base and through the reloaded merged model.
std::vector<Example> probe_examples(std::int64_t vocabulary) {
  Example example;
  for (std::int32_t i = 0; i < 64; ++i) {
    example.ids.push_back(static_cast<std::int32_t>((i * 7919 + 13) % std::min<std::int64_t>(vocabulary, 30000)));
    example.loss.push_back(i > 0);
  }
  return {example};
}

int run_export(const Arguments& arguments) {
  RunConfig config = prepare_config(arguments);
  check_paths(config, true, arguments.overwrite());
  const Quantization quantization = quantization_of(config.model);
  BaseModel model = load_checkpoint(config.model.path, at::kFloat, quantization);
  for (const std::string& note : model.notes) std::cerr << note << "\n";
  const PeftAdapter adapter = load_peft_adapter(*config.model.adapter, model.options);
  for (const std::string& note : adapter_notes(*config.model.adapter, adapter)) std::cerr << note << "\n";
  const auto probe = probe_examples(model.options.vocab_size);
  const double before = probe_loss(model, &adapter, probe);
  if (quantization.code) {
    dequantize(model);
    std::cerr << "the base is quantised to " << quantization_name(quantization)
              << ": the adapter is merged into its dequantised numbers, not into those of the checkpoint\n";
  }
  merge_adapter(model, adapter);
  make_out(config.run.out, arguments.overwrite());
  write_checkpoint(model, model.file_dtype, config.model.path, config.run.out);

  // What was written is read back and must give the same loss, within what its dtype rounds.
  BaseModel merged = load_checkpoint(config.run.out, at::kFloat);
  const double after = probe_loss(merged, nullptr, probe), difference = std::fabs(after - before);
  const double allowed = model.file_dtype == at::kFloat ? 1e-3 : 5e-2;
  if (!(difference <= allowed * std::max(1.0, std::fabs(before)))) {
    throw failed(config.run.out,
                 fmt::format("the merged model has another loss than the adapter on its base: {:.6f} and {:.6f}", after,
                             before));
  }
  if (arguments.json()) {
    std::cout << nlohmann::ordered_json{{"out", config.run.out}, {"loss_difference", difference}}.dump() << "\n";
  } else {
    std::cout << fmt::format(
        "merged model in {}; loss on a probe text differs by {:.2g} from adapter on base{}\n", config.run.out,
        difference, model.file_dtype == at::kFloat ? "" : ": the checkpoint has 16 bits a weight, and so has this");
  }
  return 0;
}

}  // namespace

Verb export_verb() {
  return {.name = "export",
          .help = "merge an adapter into its base: a HuggingFace checkpoint",
          .example = "finetune_tune export --model models/qwen --adapter runs/first/best --out merged",
          .flags = std::vector<Flag>{model_flag(), adapter_flag()} + out_flags(),
          .required = {"model.path", "model.adapter", "run.out"},
          .run = run_export};
}

}  // namespace finetune
