#include <chrono>

#include "config/field_makers.h"
#include "config/sections.h"
#include "config/source_fields.h"

namespace finetune {
namespace {

Field columns_field() {
  return {"data.fields", "column names where they differ: {prompt: question, completion: answer}",
          [](RunConfig& c, const ConfigNode& n) {
            if (n.kind != ConfigNode::Kind::map) wrong("data.fields", "a map of names", n);
            c.data.fields.clear();
            for (const auto& [name, column] : n.entries) c.data.fields[name] = text_of("data.fields." + name, column);
          },
          [](const RunConfig& c) -> std::optional<ConfigNode> {
            if (c.data.fields.empty()) return std::nullopt;
            ConfigNode node;
            node.kind = ConfigNode::Kind::map;
            for (const auto& [name, column] : c.data.fields) node.entries.emplace_back(name, ConfigNode::of(column));
            return node;
          }};
}

Field valid_fraction_field() {
  return {"data.valid_fraction", "share of the training examples held out for validation",
          [](RunConfig& c, const ConfigNode& n) {
            c.data.valid_fraction = number_of("data.valid_fraction", n, {.low = 0, .high = 1, .open_high = true});
            c.data.valid_fraction_given = true;
          },
          [](const RunConfig& c) -> std::optional<ConfigNode> {
            if (!c.data.valid_fraction_given && c.data.valid_fraction == 0) return std::nullopt;
            return ConfigNode::of(c.data.valid_fraction);
          }};
}

Field date_field() {
  return {"data.date", "YYYY-MM-DD: what a chat template gets for today; absent: the day of the run",
          [](RunConfig& c, const ConfigNode& n) {
            const std::string text = n.kind == ConfigNode::Kind::null ? "" : text_of("data.date", n);
            const auto number = [&](std::size_t at, std::size_t size) {
              int value = 0;
              for (const char digit : text.substr(at, size)) value = value * 10 + (digit - '0');
              return value;
            };
            const bool shaped =
                text.size() == 10 && text[4] == '-' && text[7] == '-' &&
                (text.substr(0, 4) + text.substr(5, 2) + text.substr(8)).find_first_not_of("0123456789") ==
                    std::string::npos;
            const auto day = [&] {
              return std::chrono::year_month_day(std::chrono::year(number(0, 4)),
                                                 std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                                 std::chrono::day(static_cast<unsigned>(number(8, 2))));
            };
            if (!text.empty() && (!shaped || !day().ok() || number(0, 4) < 1900))
              wrong("data.date", "a day, YYYY-MM-DD", n);
            c.data.date = text;
          },
          [](const RunConfig& c) -> std::optional<ConfigNode> {
            if (c.data.date.empty()) return std::nullopt;
            return ConfigNode::of(c.data.date);
          }};
}

}  // namespace

std::vector<Field> model_fields() {
  return {text_field("model.path", "HuggingFace checkpoint folder", FINETUNE_AT(model.path)),
          text_field("model.dtype",
                     "of the base, on a GPU of activations too; auto: bfloat16 on a GPU from 8.0 on, and on a "
                     "CPU whose products are 1.5 times as fast in it, else float32",
                     FINETUNE_AT(model.dtype), {"auto", "float32", "bfloat16"}),
          choice_field<Quantize>("model.quantize",
                                 "the frozen base's block projections in 4 or 8 bits, as bitsandbytes has them",
                                 FINETUNE_AT(model.quantize)),
          flag_field("model.double_quantize", "nf4: quantise the scales of its blocks too",
                     FINETUNE_AT(model.double_quantize)),
          optional_text_field("model.adapter", "PEFT adapter folder to start from", FINETUNE_AT(model.adapter))};
}

std::vector<Field> data_fields() {
  return {
      sources_field("data.train",
                    "training files: .jsonl .json .csv .tsv .txt .parquet, or folders of them; as {path, weight, name} "
                    "examples are drawn in proportion of the weights (1 where none is given)",
                    true, FINETUNE_AT(data.train)),
      sources_field("data.valid",
                    "validation files, or folders; as {path, name} valid_loss.NAME of each is logged beside valid_loss",
                    false, FINETUNE_AT(data.valid)),
      weights_field(),
      valid_fraction_field(),
      text_field("data.format", "what a record is", FINETUNE_AT(data.format),
                 {"auto", "text", "prompt_completion", "alpaca", "messages", "sharegpt", "choices", "preference"}),
      columns_field(),
      optional_text_field("data.prompt", "pattern over columns: \"Review: {sentence}\\nSentiment:\"",
                          FINETUNE_AT(data.prompt)),
      optional_text_field("data.completion", "pattern over columns: \" {label}\"", FINETUNE_AT(data.completion)),
      text_field("data.template", "chat template: auto (the checkpoint's own), none, a name, or FILE.jinja",
                 FINETUNE_AT(data.chat_template)),
      date_field(),
      whole_field("data.max_length", "tokens of an example, special ones included", FINETUNE_AT(data.max_length), 2,
                  1 << 26),
      text_field("data.truncate", "longer examples", FINETUNE_AT(data.truncate), {"end", "drop", "error"}),
      text_field("data.train_on", "which tokens carry loss", FINETUNE_AT(data.train_on), {"completion", "all"}),
      flag_field("data.shuffle", "a new order each epoch", FINETUNE_AT(data.shuffle)),
      flag_field("data.append_eos", "end each example with EOS", FINETUNE_AT(data.append_eos)),
      optional_text_field("data.separator", ".txt: examples are split at this text instead of at line ends",
                          FINETUNE_AT(data.separator)),
      list_field("data.test", "files scored once, at the end: winner, default configuration and base",
                 FINETUNE_AT(data.test)),
      list_field("data.labels", "completions that label_accuracy and macro_f1 choose from; absent: those of data.train",
                 FINETUNE_AT(data.labels)),
      optional_text_field("data.answer",
                          "expression with one group, what exact_match and regex_match compare: \"#### (.*)\"",
                          FINETUNE_AT(data.answer))};
}

}  // namespace finetune
